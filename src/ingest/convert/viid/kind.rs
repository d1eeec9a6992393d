//! The kinds of objects of GA/T 1400 messages, and what becomes of each.

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    MotorVehicle,
    NonMotorVehicle,
    Pedestrian,
}

/// What becomes of the objects of a kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A camera.
    Ape,
    /// A checkpoint.
    Tollgate,
    /// A clip.
    VideoSlice,
    /// A camera's own count.
    VehiclesFlow,
    /// Counted and nothing else.
    Counted(Class),
    /// Read by no contract.
    Ignored,
    /// Refused under this name, wherever it stands and whatever is asked for.
    Forbidden(&'static str),
}

const KINDS: [(&str, Kind); 41] = [
    ("APE", Kind::Ape),
    ("Tollgate", Kind::Tollgate),
    ("VideoSlice", Kind::VideoSlice),
    ("VehiclesFlow", Kind::VehiclesFlow),
    ("MotorVehicle", Kind::Counted(Class::MotorVehicle)),
    ("NonMotorVehicle", Kind::Counted(Class::NonMotorVehicle)),
    ("Person", Kind::Counted(Class::Pedestrian)),
    ("Image", Kind::Ignored),
    ("Scene", Kind::Ignored),
    ("Thing", Kind::Ignored),
    ("File", Kind::Ignored),
    ("Case", Kind::Ignored),
    ("Lane", Kind::Ignored),
    ("APS", Kind::Ignored),
    ("APEStatus", Kind::Ignored),
    ("APSStatus", Kind::Ignored),
    ("DeviceStatus", Kind::Ignored),
    ("AnalysisRule", Kind::Ignored),
    ("Face", Kind::Forbidden("Face")),
    ("FaceID", Kind::Forbidden("Face")),
    ("FaceFeature", Kind::Forbidden("Face")),
    ("Gait", Kind::Forbidden("Gait")),
    ("GaitID", Kind::Forbidden("Gait")),
    ("Disposition", Kind::Forbidden("Disposition")),
    ("DispositionNotification", Kind::Forbidden("DispositionNotification")),
    // what a subscription asks for stands in codes of no public list, so none comes in
    ("Subscribe", Kind::Forbidden("Subscribe")),
    ("SubscribePerson", Kind::Forbidden("Subscribe")),
    ("Archive", Kind::Forbidden("Archive")),
    ("PersonArchive", Kind::Forbidden("Archive")),
    ("FaceArchive", Kind::Forbidden("Archive")),
    ("Feature", Kind::Forbidden("Feature")),
    ("FeatureInfo", Kind::Forbidden("Feature")),
    ("FeatureData", Kind::Forbidden("Feature")),
    ("FeatureVector", Kind::Forbidden("Feature")),
    ("Biometric", Kind::Forbidden("Biometric")),
    ("Fingerprint", Kind::Forbidden("Biometric")),
    ("Palmprint", Kind::Forbidden("Biometric")),
    ("Voiceprint", Kind::Forbidden("Biometric")),
    ("Iris", Kind::Forbidden("Biometric")),
    ("IrisCode", Kind::Forbidden("Biometric")),
    ("IrisScan", Kind::Forbidden("Biometric")),
];

/// What stands under the name of a kind: objects, or a holder of their list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Holder,
    Object,
}

/// Endings of names after the kind.
const FORMS: [(&str, Form); 5] = [
    ("ListObject", Form::Holder),
    ("ObjectList", Form::Holder),
    ("List", Form::Holder),
    ("Object", Form::Object),
    ("", Form::Object),
];

impl Kind {
    /// The kind that a name of a message speaks of; upper and lower case are the same.
    pub fn of(name: &str) -> Option<(Kind, Form)> {
        KINDS.iter().find_map(|(known, kind)| {
            let (stem, ending) = name.as_bytes().split_at_checked(known.len())?;
            if !stem.eq_ignore_ascii_case(known.as_bytes()) {
                return None;
            }
            let (_, form) = FORMS
                .iter()
                .find(|(known, _)| ending.eq_ignore_ascii_case(known.as_bytes()))?;
            Some((*kind, *form))
        })
    }
}
