//! Boundaries and messages of the video-image base, from real files.

use std::path::Path;

use serde_json::Value;

use crate::support::{bare_site, copy, folder, ok, python, run, select, shared, text, write_key};

/// The same counties as a shapefile in GBK, by another hand; and what an independent geometry library
/// says of what was stored.
const SHAPES: &str = r#"
import json, sys, zipfile, os
import shapefile
from shapely.geometry import shape
source, inbox = sys.argv[1:3]
features = json.load(open(source))["features"]
os.makedirs(f"{inbox}/shp")
base = f"{inbox}/shp/counties"
writer = shapefile.Writer(base, shapeType=shapefile.POLYGON, encoding="gbk")
writer.field("adcode", "N", 10)
writer.field("name", "C", 40)
for feature in features:
    geometry = feature["geometry"]
    rings = []
    for polygon in geometry["coordinates"]:
        for at, ring in enumerate(polygon):
            area = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(ring, ring[1:]))
            clockwise = area < 0
            rings.append(ring if clockwise == (at == 0) else ring[::-1])
    writer.poly(rings)
    writer.record(feature["properties"]["adcode"], feature["properties"]["name"])
writer.close()
print(json.dumps({str(f["properties"]["adcode"]): [f["properties"]["name"], shape(f["geometry"]).area, shape(f["geometry"]).is_valid] for f in features}, ensure_ascii=False))
"#;

const JUDGE: &str = r#"
import json, sys
from shapely import wkt
from shapely.geometry import Point
found = {}
for row, other in zip(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])), strict=True):
    same = row["code"] == other["code"] and row["name_zh"] == other["name_zh"]
    if "boundary" not in row:
        assert same and "boundary" not in other
        continue
    area = wkt.loads(row["boundary"])
    # the shapefile says the same of the county
    same = same and area.equals(wkt.loads(other["boundary"]))
    found[row["code"]] = [area.is_valid and same, area.area, area.contains(Point(row["lon"], row["lat"]))]
print(json.dumps(found))
"#;

fn area_contract(from: &str, into: &str, format: &str, bad: &str) -> String {
    format!(
        "title_zh = \"区划\"\ntitle_en = \"areas\"\nfrom = \"{from}\"\ninto = \"source.{into}\"\nland = \"snapshot\"\n\
         county = \"320300\"\ncrs = \"gcj02\"\nkey = [\"code\"]\n{format}\n[columns]\n\
         code = {{ from = \"adcode\", protect = \"public\", required = true }}\n\
         name_zh = {{ from = \"name\", protect = \"public\", required = true }}\n\
         lon = {{ from = \"centre_lon\", type = \"lon\", protect = \"public\" }}\n\
         lat = {{ from = \"centre_lat\", type = \"lat\", protect = \"public\" }}\n\
         boundary = {{ from = \"geometry\", type = \"area\", protect = \"public\", bad = \"{bad}\" }}\n"
    )
}

fn areas(site: &Path, table: &str) -> Vec<Value> {
    let sql = format!("SELECT code, name_zh, lon, lat, boundary FROM source.{table} ORDER BY code");
    select(site, &format!("source.{table}"), &sql)
}

#[test]
fn boundaries_of_counties_come_in_valid_and_where_they_are() {
    let Some(source) = shared("china/xuzhou_counties_320300_gcj02.geojson") else {
        return;
    };
    let (site, contracts) = bare_site();
    let inbox = site.path().join("inbox");
    let paths = [&source, &inbox].map(|path| path.display().to_string());
    let Some(plain) = python(&["shapefile", "shapely"], SHAPES, &[&paths[0], &paths[1]]) else {
        return;
    };
    let plain: Value = serde_json::from_str(&plain).expect("JSON");
    std::fs::copy(&source, inbox.join("counties.geojson")).expect("a copy");
    let contract = |name: &str, text: String| std::fs::write(contracts.join(name), text).expect("a contract");
    contract("json.toml", area_contract("inbox/*.geojson", "json", "", "blank"));
    contract(
        "shape.toml",
        area_contract("inbox/shp/*.shp", "shape", "encoding = \"gbk\"", "blank"),
    );
    ok(&["--site", &site.path().display().to_string(), "--quiet", "ingest"]);
    let found = areas(site.path(), "json");
    assert_eq!(found.len(), 10);
    let lists = [("json", &found), ("shape", &areas(site.path(), "shape"))].map(|(name, rows)| {
        let list = site.path().join(format!("{name}.json"));
        std::fs::write(&list, serde_json::to_string(rows).expect("JSON")).expect("a file");
        list.display().to_string()
    });
    let judged = python(&["shapely"], JUDGE, &[&lists[0], &lists[1]]).expect("shapely");
    let judged: Value = serde_json::from_str(&judged).expect("JSON");
    let mut valid = 0;
    for row in &found {
        let code = row["code"].as_str().expect("a code");
        assert_eq!(row["name_zh"], plain[code][0]);
        // two of the ten are drawn across themselves: their rows stay, their boundaries do not
        let is_valid = plain[code][2] == true;
        assert_eq!(row.get("boundary").is_some(), is_valid, "{code}");
        if !is_valid {
            continue;
        }
        valid += 1;
        let verdict = &judged[code];
        assert_eq!(
            (&verdict[0], &verdict[2]),
            (&Value::Bool(true), &Value::Bool(true)),
            "{code}"
        );
        // the shift of GCJ-02 moves a county and hardly stretches it
        let ratio = verdict[1].as_f64().expect("an area") / plain[code][1].as_f64().expect("an area");
        assert!((ratio - 1.0).abs() < 5e-3, "{code}: {ratio}");
    }
    assert_eq!(valid, 8);
}

#[test]
fn a_boundary_that_crosses_itself_is_refused_and_a_wrong_system_stops() {
    let (site, contracts) = bare_site();
    let inbox = site.path().join("inbox");
    let bow = r#"{"type":"FeatureCollection","features":[
        {"type":"Feature","properties":{"adcode":1,"name":"a"},"geometry":{"type":"Polygon","coordinates":[[[117,34],[118,35],[118,34],[117,35],[117,34]]]}},
        {"type":"Feature","properties":{"adcode":2,"name":"b"},"geometry":{"type":"Polygon","coordinates":[[[117,34],[118,34],[118,35],[117,34]]]}}]}"#;
    std::fs::write(inbox.join("bow.geojson"), bow).expect("a file");
    std::fs::write(
        contracts.join("json.toml"),
        area_contract("inbox/*.geojson", "json", "", "reject"),
    )
    .expect("a contract");
    ok(&["--site", &site.path().display().to_string(), "--quiet", "ingest"]);
    let refused = select(
        site.path(),
        "ops.reject",
        "SELECT line, reason, value_masked FROM ops.reject",
    );
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (refused[0]["line"].as_i64(), refused[0]["reason"].as_str()),
        (Some(1), Some("area"))
    );
    assert_eq!(refused[0]["value_masked"], "crossing");

    let script = "import shapefile, sys\nw = shapefile.Writer(sys.argv[1], shapeType=shapefile.POLYGON)\nw.field('adcode','N',10)\n\
                  w.field('name','C',10)\nw.poly([[[117,34],[117,35],[118,35],[117,34]]])\nw.record(1,'a')\nw.close()\n";
    let base = inbox.join("one").display().to_string();
    if python(&["shapefile"], script, &[&base]).is_none() {
        return;
    }
    let prj = "GEOGCS[\"GCS_WGS_1984\",DATUM[\"D_WGS_1984\",SPHEROID[\"WGS_1984\",6378137.0,298.257223563]],\
               PRIMEM[\"Greenwich\",0.0],UNIT[\"Degree\",0.0174532925199433]]";
    std::fs::write(inbox.join("one.prj"), prj).expect("a file");
    std::fs::write(
        contracts.join("shape.toml"),
        area_contract("inbox/*.shp", "shape", "", "reject"),
    )
    .expect("a contract");
    let output = run(&[
        "--site",
        &site.path().display().to_string(),
        "--lang",
        "en",
        "ingest",
        "shape",
    ]);
    let said = text(&output.stderr);
    assert!(said.contains("its .prj says wgs84, the contract says gcj02"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

/// Real sample messages without persons, and invented ones with what may not come in.
#[test]
fn messages_of_the_video_base_become_inventory_clips_and_counts_and_nothing_else() {
    let Some(sample) = shared("china/viid_sample_messages.json") else {
        return;
    };
    let site = folder();
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sites/viid"),
        site.path(),
    );
    write_key(site.path());
    let face = r#"{"FaceListObject":{"FaceObject":[{"FaceID":"F-CANARY-1","IDNumber":"990101199003070011"}]},
        "PersonListObject":{"PersonObject":[{"PersonID":"P-CANARY-2","DeviceID":"33029902001210000118","AppearTime":"20210411171400"}]},
        "DispositionListObject":{"DispositionObject":[{"DispositionID":"D-CANARY-3","Title":"布控"}]}}"#;
    for folder in ["camera", "video_index", "video_count"] {
        let inbox = site.path().join("inbox/viid").join(folder);
        std::fs::create_dir_all(&inbox).expect("a folder");
        std::fs::copy(&sample, inbox.join("sample.json")).expect("a copy");
        std::fs::write(inbox.join("people.json"), face).expect("a file");
    }
    let output = run(&["--site", &site.path().display().to_string(), "--lang", "en", "ingest"]);
    let said = text(&output.stderr);
    println!("{said}");
    let refused = select(
        site.path(),
        "ops.reject",
        "SELECT file, reason, value_masked, count(*) AS n FROM ops.reject GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    );
    for folder in ["camera", "video_count"] {
        for kind in ["Face", "Disposition"] {
            let found = refused.iter().find(|row| {
                row["file"]
                    .as_str()
                    .is_some_and(|file| file.contains(&format!("/{folder}/people")))
                    && row["value_masked"].as_str().is_some_and(|what| what.starts_with(kind))
            });
            assert_eq!(
                found.map(|row| &row["reason"]),
                Some(&Value::from("forbidden_object")),
                "{folder} {kind}: {refused:?}"
            );
        }
    }
    let mut bytes = Vec::new();
    let mut folders = vec![site.path().join("lake")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                bytes.extend(std::fs::read(path).expect("bytes"));
            }
        }
    }
    for secret in [
        "CANARY",
        "苏C00000",
        "990101199003070011",
        "33029902001210000118\",\"InfoKind",
    ] {
        assert!(
            !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
            "{secret}"
        );
    }
}

/// How a query runs on the newest release of a site.
fn plan(site: &Path, sql: &str) -> String {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let lake = fenghuo::lake::Lake::open(site, "lake").expect("a lake");
        let newest = lake
            .releases()
            .await
            .expect("releases")
            .last()
            .copied()
            .expect("a release");
        let release = lake.release(newest).await.expect("a release");
        let bounds = fenghuo::engine::Bounds {
            memory_bytes: 1 << 30,
            partitions: 2,
        };
        let session = fenghuo::model::pinned::session(&lake, bounds, &release)
            .await
            .expect("a session");
        let plan = session.plan("test", sql).await.expect("a plan");
        let plan = session.state().create_physical_plan(&plan).await.expect("a plan");
        datafusion::physical_plan::displayable(plan.as_ref())
            .indent(false)
            .to_string()
    })
}

#[test]
fn joins_of_places_are_hash_joins_and_find_something() {
    let city = crate::demo::city();
    let text = include_str!("../../docs/places.md");
    let queries: Vec<&str> = text
        .split("```sql\n")
        .skip(1)
        .filter_map(|part| part.split("```").next())
        .collect();
    assert_eq!(queries.len(), 3);
    for sql in queries {
        let found = crate::support::number(city, &format!("SELECT count(*) AS n FROM ({sql}) AS q"));
        // the small city's few clips need not meet one of its few calls
        assert!(found > 0.0 || sql.contains("clip"), "{sql}");
        let plan = plan(city, sql);
        assert!(plan.contains("HashJoinExec"), "{plan}");
        assert!(
            !plan.contains("NestedLoopJoinExec") && !plan.contains("CrossJoinExec"),
            "{plan}"
        );
    }
}

#[test]
fn frames_of_series_have_no_gaps() {
    let city = crate::demo::city();
    let text = include_str!("../../docs/statistics.md");
    let queries: Vec<&str> = text
        .split("```sql\n")
        .skip(1)
        .filter_map(|part| part.split("```").next())
        .collect();
    assert_eq!(queries.len(), 2);
    assert!(crate::support::number(city, &format!("SELECT count(*) AS n FROM ({}) AS q", queries[0])) > 0.0);
    let judged = "count(*) FILTER (WHERE verdict['reason'] IS NULL)";
    let gaps = "count(*) FILTER (WHERE verdict['reason'] = 'gap')";
    let found = crate::support::rows(
        city,
        &format!("SELECT {judged} AS judged, {gaps} AS gaps FROM ({}) AS q", queries[1]),
    );
    assert!(found[0]["judged"].as_i64() > Some(100), "{found:?}");
    assert_eq!(found[0]["gaps"].as_i64(), Some(0));
}
