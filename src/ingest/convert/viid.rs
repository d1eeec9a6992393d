//! Messages of the police video-image base (GA/T 1400, VIID) as JSON lines.
//!
//! Cameras, checkpoints and clips come out one by one, with the fields of a list and no others. Vehicles
//! and persons are only ever counted: per camera, window and class, and nothing else of them is kept,
//! listed or quoted. Faces, gaits, watch lists, archives and whatever carries a feature vector are refused
//! by the name of the kind (domain dictionary, B.3 and E-06). Names of fields and lists are those of public
//! messages and implementations of GA/T 1400.3-2017; the text of the standard was not at hand.
//!
//! A file is any number of messages, one after another or in a list. It is passed over byte by byte and
//! only one object at a time is held, so that a list of millions takes no more memory than its largest
//! object may.

mod count;
mod kind;
mod object;
mod text;

use std::io::{self, Read};

use self::count::{Counts, Slot, Source, window};
use self::kind::{Class, Form, Kind};
use self::object::{CLIP_INFO, Found, camera, look, pick, row, value};
use self::text::Text;
use super::Out;
use crate::contract::{MessageObject, Reason};

/// Lists and objects around the objects.
const MESSAGE_DEPTH: usize = 16;

/// Refusals beside the names of the forbidden kinds.
const TOO_LARGE: &str = "too_large";
const UNKNOWN_MESSAGE: &str = "unknown_message";
const NO_CAMERA: &str = "no_camera";
const NO_TIME: &str = "no_time";
const NO_COUNT: &str = "no_count";

/// What is kept of a camera or checkpoint. Addresses, ports, users and passwords are not.
const CAMERA: [&str; 14] = [
    "ApeID",
    "TollgateID",
    "Name",
    "Model",
    "Longitude",
    "Latitude",
    "PlaceCode",
    "OrgCode",
    "CapDirection",
    "MonitorDirection",
    "IsOnline",
    "FunctionType",
    "PositionType",
    "OwnerApsID",
];
/// What is kept of a clip: no title, description, keyword or main character, no clerk, no picture.
const CLIP: [&str; 20] = [
    CLIP_INFO,
    "VideoID",
    "DeviceID",
    "BeginTime",
    "EndTime",
    "VideoLen",
    "InfoKind",
    "EventSort",
    "FileFormat",
    "VideoFormat",
    "CodedFormat",
    "CodeFormat",
    "AudioFlag",
    "Width",
    "Height",
    "QualityGrade",
    "TimeErr",
    "FileSize",
    "StoragePath",
    "EntryTime",
];
/// What is looked at, and not kept, of an object that is counted.
const COUNTED: [&str; 11] = [
    "DeviceID",
    "TollgateID",
    "PassTime",
    "MarkTime",
    "AppearTime",
    "PersonAppearTime",
    "LocationMarkTime",
    "CollectTime",
    "SnapTime",
    "StatCycle",
    "VehicleCount",
];
/// Times of a counted object, the best one first; `ShotTime` of its pictures is the last resort.
const TIMES: [&str; 6] = [
    "PassTime",
    "MarkTime",
    "AppearTime",
    "PersonAppearTime",
    "LocationMarkTime",
    "CollectTime",
];

/// Writes what `object` asks for, one flat JSON object a line, and a refusal for each object that may not
/// come in. Counts come at the end: `camera_id`, `window_start` (14 digits of local time, a quarter of an
/// hour), `class`, `n`, and `source`, which is `flow` where the camera counted and `objects` where we did.
/// A count is that of this file: a window that two files share comes out of each.
///
/// # Errors
/// `InvalidData` where the text is no JSON, with line and column, or where it holds more than a million
/// counts; else as the reader says; `BrokenPipe` where nobody reads any more.
pub(super) fn messages(reader: Box<dyn Read + Send>, object: MessageObject, out: &mut Out) -> io::Result<()> {
    let mut messages = Messages {
        text: Text::new(reader)?,
        object,
        out,
        counts: Counts::default(),
        known: false,
    };
    while let Some(first) = messages.text.ahead()? {
        if first == b'[' {
            messages.list(|messages| messages.message())?;
        } else {
            messages.message()?;
        }
    }
    messages.counts.write(messages.out)
}

/// The walk through the messages.
struct Messages<'a> {
    text: Text,
    object: MessageObject,
    out: &'a mut Out,
    counts: Counts,
    /// Whether the message at hand held a kind that is known, or was refused.
    known: bool,
}

impl Messages<'_> {
    fn message(&mut self) -> io::Result<()> {
        self.known = false;
        self.walk(0)?;
        if self.known {
            return Ok(());
        }
        self.out.refuse(Reason::Forbidden, UNKNOWN_MESSAGE)
    }

    /// Looks for lists of objects below the value that begins here.
    fn walk(&mut self, depth: usize) -> io::Result<()> {
        match self.text.token()? {
            b'{' | b'[' if depth >= MESSAGE_DEPTH => self.too_deep(),
            b'{' => self.map(|messages, name| match Kind::of(name) {
                Some((kind, form)) => messages.objects(kind, form, depth + 1),
                None => messages.walk(depth + 1),
            }),
            b'[' => self.list(|messages| messages.walk(depth + 1)),
            _ => self.text.pass(),
        }
    }

    /// Takes the objects of a kind. In a holder, a list under any other name is one of that kind too, so
    /// that what is forbidden does not pass by under a name of its own.
    fn objects(&mut self, kind: Kind, form: Form, depth: usize) -> io::Result<()> {
        let first = self.text.token()?;
        self.known |= matches!(first, b'{' | b'[');
        match first {
            b'{' | b'[' if depth >= MESSAGE_DEPTH => self.too_deep(),
            b'{' if form == Form::Holder => self.map(|messages, name| {
                let (kind, form) = Kind::of(name).unwrap_or((kind, Form::Object));
                messages.objects(kind, form, depth + 1)
            }),
            b'{' => self.take(kind),
            b'[' => self.list(|messages| messages.objects(kind, Form::Object, depth + 1)),
            _ => self.text.pass(),
        }
    }

    fn too_deep(&mut self) -> io::Result<()> {
        self.known = true;
        self.text.pass()?;
        self.out.refuse(Reason::TooLarge, TOO_LARGE)
    }

    /// One object. Whether it may come in is decided before what is asked for: an object that is refused
    /// is refused in every contract.
    fn take(&mut self, kind: Kind) -> io::Result<()> {
        let fits = self.text.object()?;
        let mut found = Found::default();
        if fits {
            look(&self.text.kept, &mut found).map_err(|cause| self.text.misread(&cause))?;
        }
        if let Kind::Forbidden(name) = kind {
            return self.out.refuse(Reason::Forbidden, name);
        }
        if !fits {
            return self.out.refuse(Reason::TooLarge, TOO_LARGE);
        }
        if let Some(name) = found.forbidden {
            return self.out.refuse(Reason::Forbidden, name);
        }
        let wanted: &[&'static str] = match (self.object, kind) {
            (MessageObject::Camera, Kind::Ape | Kind::Tollgate) => &CAMERA,
            (MessageObject::Clip, Kind::VideoSlice) => &CLIP,
            (MessageObject::Count, Kind::Counted(class)) => return self.count(class, false, found.shot),
            (MessageObject::Count, Kind::VehiclesFlow) => return self.count(Class::MotorVehicle, true, None),
            // no loss: the same messages go to the contract that asks for this kind
            _ => return Ok(()),
        };
        let row = row(&self.text.kept, wanted).map_err(|cause| self.text.misread(&cause))?;
        self.out.object(&row)
    }

    /// Counts one object, or what a camera counted itself. Lanes of a camera add up. The instant of a
    /// camera's count names its window; cycles of different length stay apart, since their unit differs
    /// between systems, and the contract's key takes the shortest.
    fn count(&mut self, class: Class, flow: bool, shot: Option<u64>) -> io::Result<()> {
        let fields = pick(&self.text.kept, &COUNTED).map_err(|cause| self.text.misread(&cause))?;
        let Some(camera) = camera(&fields) else {
            return self.out.refuse(Reason::Missing, NO_CAMERA);
        };
        let times: &[&str] = if flow { &["SnapTime"] } else { &TIMES };
        let time = times.iter().find_map(|name| window(&value(&fields, name)?));
        let Some(start) = time.or(shot) else {
            return self.out.refuse(Reason::Missing, NO_TIME);
        };
        let number = |name: &str| value(&fields, name)?.parse::<u64>().ok();
        let (source, n) = match (flow, number("VehicleCount")) {
            (false, _) => (Source::Objects, 1),
            (true, Some(n)) => (Source::Flow(number("StatCycle").unwrap_or(0)), n),
            (true, None) => return self.out.refuse(Reason::Missing, NO_COUNT),
        };
        self.counts.add(camera, Slot { start, class, source }, n)
    }

    /// The members of the object that begins here.
    fn map(&mut self, mut each: impl FnMut(&mut Self, &str) -> io::Result<()>) -> io::Result<()> {
        self.text.advance(1);
        if self.text.token()? == b'}' {
            self.text.advance(1);
            return Ok(());
        }
        loop {
            let name = self.text.name()?;
            each(self, &name)?;
            if !self.text.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    /// The values of the list that begins here.
    fn list(&mut self, mut each: impl FnMut(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.text.advance(1);
        if self.text.token()? == b']' {
            self.text.advance(1);
            return Ok(());
        }
        loop {
            each(self)?;
            if !self.text.goes_on(b']')? {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::convert::lines_of;

    const CAMERAS: &str = r#"{"/VIID/APEs": {"APEListObject": {"APEObject": [{"ApeID": "33029902001210000007",
        "Name": "南门", "IPAddr": "192.0.2.7", "Port": 80, "Longitude": 116.39749999999999, "UserId": "root",
        "Password": "hunter2", "IsOnline": "1", "PositionType": "03/7/97/131", "Place": null}]}}}"#;

    fn read(object: MessageObject, text: &str) -> io::Result<Vec<String>> {
        let bytes = text.as_bytes().to_vec();
        lines_of(move |out| messages(Box::new(io::Cursor::new(bytes)), object, out))
    }

    fn lines(object: MessageObject, text: &str) -> Vec<String> {
        read(object, text).expect("lines")
    }

    fn count(camera: &str, start: &str, class: &str, n: u64, source: &str) -> String {
        format!(r#"{{"camera_id":"{camera}","window_start":"{start}","class":"{class}","n":{n},"source":"{source}"}}"#)
    }

    #[test]
    fn cameras_come_out_without_addresses_and_passwords() {
        assert_eq!(
            lines(MessageObject::Camera, CAMERAS),
            [
                r#"{"ApeID":"33029902001210000007","Name":"南门","Longitude":116.39749999999999,"IsOnline":"1","PositionType":"3/other/other/other"}"#
            ]
        );
        // a number of twenty digits without quotes keeps them all
        let gate = r#"{"tollgatelistobject": {"TOLLGATEOBJECT": {"TollgateID": 33029902001210000008, "LaneNum": 2}}}"#;
        assert_eq!(
            lines(MessageObject::Camera, gate),
            [r#"{"ApeID":33029902001210000008}"#]
        );
        assert!(lines(MessageObject::Clip, CAMERAS).is_empty());
        assert!(lines(MessageObject::Count, CAMERAS).is_empty());
    }

    #[test]
    fn clips_come_out_without_what_they_show() {
        let text = r#"[{"VideoSliceListObject": {"VideoSlice": [{"PersonList": {}, "FaceList": {},
            "VideoSliceInfo": {"VideoID": "1", "BeginTime": "20260101080000", "Title": "T", "MainCharacter": "M",
            "EntryClerk": "C", "Keyword": "K", "StoragePath": "ftp://u:p@192.0.2.1/a@b.mp4"}, "Data": "AAAA"}]}},
            {"VideoSliceObjectList": [{"VideoID": "2", "EndTime": "20260101081000", "ThumbnailStoragePath": "t"}]}]"#;
        assert_eq!(
            lines(MessageObject::Clip, text),
            [
                r#"{"VideoID":"1","BeginTime":"20260101080000","StoragePath":"ftp://192.0.2.1/a@b.mp4"}"#,
                r#"{"VideoID":"2","EndTime":"20260101081000"}"#
            ]
        );
    }

    #[test]
    fn a_notification_brings_several_lists() {
        let text = r#"{"SubscribeNotificationListObject": {"SubscribeNotificationObject": [{
            "NotificationID": "9", "InfoIDs": "1,2",
            "DeviceList": {"APEObject": [{"ApeID": "11"}]},
            "FaceObjectList": {"FaceObject": [{"FaceID": "8"}, {"FaceID": "9"}]},
            "VehiclesFlowListObject": {"VehiclesFlowObject": [
                {"DeviceID": "12", "SnapTime": "20260101080500", "StatCycle": 300, "LaneIndex": 1, "VehicleCount": 3},
                {"DeviceID": "12", "SnapTime": "20260101080500", "StatCycle": 300, "LaneIndex": 2, "VehicleCount": "4"},
                {"DeviceID": "12", "SnapTime": "20260101080500", "StatCycle": 300}]},
            "MotorVehicleObjectList": {"MotorVehicleObject": [
                {"DeviceID": "12", "PassTime": "20260101080501"}]}}]}}"#;
        assert_eq!(
            lines(MessageObject::Camera, text),
            [r#"{"ApeID":"11"}"#, "!forbidden_object Face", "!forbidden_object Face"]
        );
        assert_eq!(
            lines(MessageObject::Count, text),
            [
                "!forbidden_object Face".to_owned(),
                "!forbidden_object Face".to_owned(),
                "!missing no_count".to_owned(),
                count("12", "20260101080000", "motor_vehicle", 7, "flow"),
                count("12", "20260101080000", "motor_vehicle", 1, "objects"),
            ]
        );
    }

    #[test]
    fn what_may_not_be_collected_is_refused_in_every_contract() {
        for (name, refusal) in [
            ("Face", "!forbidden_object Face"),
            ("Gait", "!forbidden_object Gait"),
            ("Disposition", "!forbidden_object Disposition"),
            ("DispositionNotification", "!forbidden_object DispositionNotification"),
            ("Subscribe", "!forbidden_object Subscribe"),
            ("Archive", "!forbidden_object Archive"),
            ("FeatureInfo", "!forbidden_object Feature"),
        ] {
            for text in [
                format!(r#"{{"{name}ListObject": {{"{name}Object": [{{"ID": "77"}}, {{"ID": "78"}}]}}}}"#),
                format!(r#"{{"{name}List": {{"Total": 2, "OtherName": [{{"ID": "77"}}, {{}}]}}}}"#),
            ] {
                for object in [MessageObject::Camera, MessageObject::Clip, MessageObject::Count] {
                    assert_eq!(lines(object, &text), [refusal, refusal], "{text}");
                }
            }
            let none = format!(r#"{{"{name}ListObject": {{"{name}Object": []}}}}"#);
            assert!(lines(MessageObject::Count, &none).is_empty(), "{none}");
        }
    }

    #[test]
    fn features_deep_inside_refuse_their_object_alone() {
        let vehicle = |feature: &str| {
            format!(
                r#"{{"MotorVehicleID": "4401", "PlateNo": "TEST-PLATE", "TollgateID": "12", "DeviceID": "",
                "SubImageList": {{"SubImageInfoObject": [{{"ShotTime": "20260101080000", "Data": "/9j/",
                "FeatureInfoObject": {feature}}}]}}}}"#
            )
        };
        let objects = [
            r#"{"FeatureData": "AAEC"}"#,
            r#"{"FeatureData": "", "Size": null}"#,
            "[]",
        ]
        .map(vehicle);
        let text = format!(
            r#"{{"MotorVehicleListObject": {{"MotorVehicleObject": [{}]}}}}"#,
            objects.join(",")
        );
        let found = lines(MessageObject::Count, &text);
        let counted = count("12", "20260101080000", "motor_vehicle", 2, "objects");
        assert_eq!(found, ["!forbidden_object Feature".to_owned(), counted]);
        assert_eq!(lines(MessageObject::Camera, &text), ["!forbidden_object Feature"]);
        // neither numbers nor plates come out
        assert!(!found.iter().any(|line| line.contains("4401") || line.contains("PLATE")));
        let image =
            r#"{"ImageListObject": {"Image": [{"FaceList": {"FaceObject": [{"FaceID": "5"}]}}, {"Data": "A"}]}}"#;
        assert_eq!(lines(MessageObject::Camera, image), ["!forbidden_object Face"]);
    }

    #[test]
    fn windows_are_quarters_of_an_hour_and_classes_stay_apart() {
        let text = r#"{"PersonListObject": {"PersonObject": [
                {"PersonID": "70001", "DeviceID": "34", "PersonAppearTime": "20260101000000"},
                {"PersonID": "70002", "DeviceID": "34", "PersonAppearTime": "20260101001459"},
                {"PersonID": "70003", "DeviceID": "34", "PersonAppearTime": "20260101001500"},
                {"PersonID": "70004", "DeviceID": "34", "PersonAppearTime": "20251231235959999"}]}}
            {"NonMotorVehicleListObject": {"NonMotorVehicleObject": [
                {"DeviceID": "34", "PassTime": "", "MarkTime": "20260101001400"},
                {"DeviceID": "TEST-PLATE", "PassTime": "20260101001400"},
                {"DeviceID": "34", "PassTime": "20260230001400"}]}}"#;
        assert_eq!(
            lines(MessageObject::Count, text),
            [
                "!missing no_camera".to_owned(),
                "!missing no_time".to_owned(),
                count("34", "20251231234500", "pedestrian", 1, "objects"),
                count("34", "20260101000000", "non_motor_vehicle", 1, "objects"),
                count("34", "20260101000000", "pedestrian", 2, "objects"),
                count("34", "20260101001500", "pedestrian", 1, "objects"),
            ]
        );
    }

    #[test]
    fn objects_without_measure_are_refused_and_the_next_one_comes_in() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let large = "x".repeat(17 << 20);
        for inside in [deep.clone(), format!("\"{large}\"")] {
            let text = format!(
                r#"{{"APEListObject": {{"APEObject": [{{"ApeID": "1", "Model": {inside}}}, {{"ApeID": "2"}}]}}}}"#
            );
            assert_eq!(
                lines(MessageObject::Camera, &text),
                ["!too_large too_large", r#"{"ApeID":"2"}"#]
            );
        }
        assert_eq!(lines(MessageObject::Camera, &deep), ["!too_large too_large"]);
    }

    #[test]
    fn messages_of_no_known_kind_are_refused_one_by_one() {
        let text = format!("\u{feff}[{{\"Plan\": 1}}, 7, {CAMERAS}]\n{{}} \"x\"");
        let found = lines(MessageObject::Clip, &text);
        assert_eq!(found, ["!forbidden_object unknown_message"; 4]);
        assert!(lines(MessageObject::Camera, "").is_empty());
        assert!(lines(MessageObject::Camera, r#"{"SceneListObject": {"SceneObject": [{}]}}"#).is_empty());
    }

    #[test]
    fn broken_text_is_told_by_its_place_alone() {
        for (text, place) in [
            (
                "{\"APEListObject\":\n{\"APEObject\": [{\"ApeID\": \"PLATE",
                "line 2, column ",
            ),
            (
                "{\"APEListObject\": {\"APEObject\": [{\"ApeID\": \"PLATE\",, \"A\": 1}]}}",
                "line 1, column ",
            ),
            (
                "{\"APEListObject\": {\"APEObject\": [\n{\"ApeID\": PLATE}]}}",
                "line 2, column ",
            ),
            ("{\"A\": 1]", "line 1, column 8: no JSON"),
            ("{\"A\": 1", "line 1, column 8: the file ends inside a message"),
            ("PLATE,1", "line 1, column 6: no JSON"),
        ] {
            let error = read(MessageObject::Camera, text).expect_err("no JSON");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            let words = error.to_string();
            assert!(words.starts_with(place), "{words}");
            assert!(!words.contains("PLATE"), "{words}");
        }
    }
}
