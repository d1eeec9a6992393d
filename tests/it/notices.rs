//! Who is told when a night goes wrong: a real mail server and a real receiver of webhooks.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{ok, python, run, text};
use crate::town::{City, FIRST_DAY};

/// Writes a line of JSON for each mail and each request.
const RECEIVERS: &str = r#"
import email, email.policy, http.server, json, socket, sys, threading
from aiosmtpd.controller import Controller
class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say({"kind": "mail", "to": envelope.rcpt_tos, "subject": mail["subject"], "text": mail.get_content()})
        return "250 taken"
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/moved":
            self.send_response(307); self.send_header("location", "/hook"); self.end_headers(); return
        self.send_response(200); self.end_headers()
        say({"kind": self.path, **body})
    def log_message(self, *_): pass
lock = threading.Lock()
def say(what):
    with lock: print(json.dumps(what), flush=True)
free = socket.create_server(("127.0.0.1", 0))
port = free.getsockname()[1]
free.close()
mail = Controller(Mailbox(), hostname="127.0.0.1", port=port)
mail.start()
hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
threading.Thread(target=hook.serve_forever, daemon=True).start()
say({"smtp": port, "http": hook.server_address[1]})
sys.stdin.read()
"#;

struct Receivers {
    process: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Receivers {
    fn next(&mut self) -> Value {
        let mut line = String::new();
        assert!(
            self.said.read_line(&mut line).expect("a line") > 0,
            "the receivers ended"
        );
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn receivers() -> Option<Receivers> {
    python(&["aiosmtpd.controller"], "", &[])?;
    let interpreter = std::env::var("FENGHUO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut process = Command::new(interpreter)
        .args(["-c", RECEIVERS])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let said = BufReader::new(process.stdout.take().expect("a pipe"));
    Some(Receivers { process, said })
}

const CHECK: &str = "sql/check/alarm.sql";

/// Gives a site all three channels.
fn notify(city: &City, settings: &str, ports: &Value, hook: &str, allow: &str) {
    let channels = format!(
        "[notify]\nfile = \"notices.jsonl\"\nsmtp = \"smtp://127.0.0.1:{}\"\nmail_from = \"烽火 <fenghuo@city.example>\"\n\
         mail_to = [\"duty@city.example\"]\nwebhook = \"http://127.0.0.1:{}/{hook}\"\nallow = [{allow}]\n",
        ports["smtp"], ports["http"]
    );
    std::fs::write(city.site.path().join("fenghuo.toml"), format!("{settings}\n{channels}")).expect("settings");
}

#[test]
fn a_bad_night_is_told_once_by_every_channel_and_is_over_when_it_is_mended() {
    let Some(mut receivers) = receivers() else { return };
    let ports = receivers.next();
    let mut city = City::new(11);
    let site = city.path();
    let said = std::fs::read_to_string(city.site.path().join("fenghuo.toml")).expect("settings");
    let pipeline = city.site.path().join("pipelines/nightly.toml");
    let nightly = std::fs::read_to_string(&pipeline).expect("a pipeline");
    std::fs::write(
        &pipeline,
        format!("{nightly}\ndeadline = \"07:00\"\n[wake]\ncheck = \"now\"\n"),
    )
    .expect("a pipeline");
    let send = || run(&["--site", &site, "--lang", "en", "notice", "send"]);

    // without a channel that is said, and a host that is not allowed hears nothing
    let none = send();
    assert_eq!(none.status.code(), Some(3), "{}", text(&none.stderr));
    city.calls("d0.csv", &[FIRST_DAY, FIRST_DAY + 1], 60);
    city.answers("a0", FIRST_DAY + 2);
    let check = city.site.path().join(CHECK);
    let sound = std::fs::read_to_string(&check).expect("a check");
    std::fs::write(&check, "-- 坏。 Broken.\nSELECT alarm_id FROM core.alarm\n").expect("a check");
    assert_eq!(run(&["--site", &site, "run"]).status.code(), Some(1));
    notify(&city, &said, &ports, "hook", "");
    let refused = send();
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("127.0.0.1"), "{}", text(&refused.stderr));
    // the file took it, and is not told again; who asks by hand tries the others again at once
    let lines = || {
        let text = std::fs::read_to_string(city.site.path().join("notices.jsonl")).expect("a file");
        text.lines().count()
    };
    assert_eq!(lines(), 1);
    assert_eq!(send().status.code(), Some(4));
    assert_eq!(lines(), 1);

    // a good night ends it, and says so to those who were told
    notify(&city, &said, &ports, "hook", "\"127.0.0.1\"");
    std::fs::write(&check, &sound).expect("a check");
    city.night();
    assert!(send().status.success());
    assert_eq!(lines(), 2);

    // the next bad night goes everywhere, in both languages
    std::fs::write(&check, "-- 坏。 Broken.\nSELECT alarm_id FROM core.alarm\n").expect("a check");
    city.calls("d1.csv", &[FIRST_DAY + 2], 20);
    assert_eq!(run(&["--site", &site, "run"]).status.code(), Some(1));
    let told = send();
    assert!(told.status.success(), "{}", text(&told.stderr));
    let mail = receivers.next();
    assert_eq!(
        (mail["kind"].as_str(), &mail["to"][0]),
        (Some("mail"), &Value::from("duty@city.example"))
    );
    let words = mail["text"].as_str().expect("text");
    for part in [
        "检查未过 1 项",
        "1 checks failed: sql/check/alarm.sql",
        "07:00",
        "fenghuo notice ack",
    ] {
        assert!(words.contains(part), "{part} in {words}");
    }
    assert!(
        mail["subject"].as_str().is_some_and(|subject| subject.contains("烽火")),
        "{mail}"
    );
    let hook = receivers.next();
    assert_eq!(
        (hook["kind"].as_str(), hook["act"].as_str()),
        (Some("/hook"), Some("sent"))
    );
    assert_eq!(hook["text_zh"].as_str().map(|text| words.contains(text)), Some(true));
    let open = ok(&["--site", &site, "notice", "list", "--output", "json"]);
    let open: Value = serde_json::from_str(&open).expect("JSON");
    let id = hook["notice_id"].as_str().expect("a notice");
    assert_eq!(open[0]["notice"].as_str(), Some(id));
    ok(&["--site", &site, "notice", "ack", id, "--by", "li"]);
    assert_eq!(
        run(&["--site", &site, "notice", "ack", "nobody"]).status.code(),
        Some(3)
    );
    let states = crate::support::rows(
        city.site.path(),
        "SELECT act, \"by\" FROM ops.notice ORDER BY at DESC LIMIT 1",
    );
    assert_eq!(
        (states[0]["act"].as_str(), states[0]["by"].as_str()),
        (Some("acknowledged"), Some("li"))
    );

    // an answer that leads elsewhere is not followed, and is a failure of that channel alone
    std::fs::write(&check, &sound).expect("a check");
    city.calls("d2.csv", &[FIRST_DAY + 3], 20);
    city.night();
    notify(&city, &said, &ports, "moved", "\"127.0.0.1\"");
    let over = send();
    assert_eq!(over.status.code(), Some(6), "{}", text(&over.stderr));
    assert_eq!(receivers.next()["kind"], "mail");
    let text = std::fs::read_to_string(city.site.path().join("notices.jsonl")).expect("a file");
    assert_eq!(text.lines().count(), 4, "{text}");
}
