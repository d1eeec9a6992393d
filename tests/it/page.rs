//! The overview page in a real browser: it draws without a script error and without any request.

use std::process::Command;

use crate::demo::city;
use crate::support::text;

/// A browser, or `None` with the reason printed.
fn browser() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            Command::new(name)
                .arg("--version")
                .output()
                .is_ok_and(|output| output.status.success())
        });
    if found.is_none() {
        println!("SKIPPED: no chromium; tests/run installs it");
    }
    found
}

fn dump(browser: &str, width: u32) -> String {
    let page = city().join("pages/overview.html").canonicalize().expect("a page");
    let profile = crate::support::folder();
    let output = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=8000",
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},2000"))
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_page_draws_at_both_widths_without_errors() {
    let Some(browser) = browser() else { return };
    for width in [360, 2560] {
        let dom = dump(browser, width);
        assert!(
            dom.contains("data-ready=\"true\""),
            "the charts were not drawn at {width} px"
        );
        assert!(!dom.contains("data-errors"), "script errors at {width} px");
        assert!(
            dom.contains("<canvas") || dom.contains("<svg"),
            "no chart at {width} px"
        );
    }
}

#[test]
fn the_page_is_one_file_and_asks_for_nothing() {
    let page = std::fs::read_to_string(city().join("pages/overview.html")).expect("a page");
    for request in ["src=\"http", "href=\"http", "@import", "url(http", "<link "] {
        assert!(!page.contains(request), "{request}");
    }
    assert!(page.contains("SYNTHETIC") && page.contains("合成数据"));
}
