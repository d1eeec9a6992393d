//! The forbidden-field lexicon (domain dictionary, E-01): columns whose presence stops an ingest.
//!
//! Short pinyin keys match whole names only, since they occur inside other words; long stems and
//! Chinese words match anywhere. A contract may waive a false hit in a reviewed line.

/// Names that match whole, in lower case.
const WHOLE: [&str; 33] = [
    "mz", "xd", "jsb", "zjxy", "zzmm", "zdry", "zdrylb", "zdrylx", "sexx", "hjlb", "xfry", "xjry", "sdry", "swry",
    "skry", "mac", "imsi", "imei", "cphm", "hphm", "hpzl", "plate", "gait", "race", "creed", "petition", "xf",
    "sf_zdry", "azb", "hiv", "fxry", "ldrk", "wslrk",
];

/// Stems that match inside a name, in lower case.
const STEMS: [&str; 48] = [
    "民族",
    "宗教",
    "政治面貌",
    "重点人员",
    "信访",
    "非访",
    "上访",
    "精神病",
    "精神障碍",
    "艾滋",
    "吸毒",
    "邪教",
    "涉稳",
    "涉恐",
    "车牌",
    "号牌",
    "人脸",
    "步态",
    "指纹",
    "虹膜",
    "声纹",
    "病史",
    "健康状况",
    "ethnic",
    "religio",
    "political",
    "keyperson",
    "key_person",
    "biometric",
    "faceid",
    "face_id",
    "featureinfo",
    "feature_info",
    "fingerprint",
    "iriscode",
    "plateno",
    "plate_no",
    "licenseplate",
    "license_plate",
    "macaddr",
    "mac_address",
    "skincolor",
    "skin_color",
    "issuspect",
    "isdetainee",
    "isforeigner",
    "irisscan",
    "heresy",
];

/// The entry of the lexicon that forbids a source column or JSON key of this name.
pub fn forbidden(name: &str) -> Option<&'static str> {
    let name = name.trim().trim_start_matches('\u{feff}').to_lowercase();
    let whole = WHOLE.into_iter().find(|entry| *entry == name);
    // "License Plate", "plate-no" and "plate_no" are one name
    let bare = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let stripped = bare(&name);
    let short = WHOLE.into_iter().find(|entry| bare(entry) == stripped);
    whole.or(short).or_else(|| {
        STEMS
            .into_iter()
            .find(|entry| name.contains(entry) || stripped.contains(&bare(entry)))
    })
}

/// Stems of columns that hold a person's name, number or words. Patterns find numbers, not names, so
/// such a column may be dropped or tokenised and never be public.
const PERSONAL: [&str; 26] = [
    "callername",
    "callerphone",
    "callerid",
    "personname",
    "fullname",
    "firstname",
    "lastname",
    "surname",
    "phone",
    "mobile",
    "idno",
    "idcard",
    "officername",
    "callsign",
    "姓名",
    "报警人",
    "电话",
    "手机",
    "身份证",
    "证件号",
    "警号",
    "bjrxm",
    "bjrlxdh",
    "lxdh",
    "sfzh",
    "xingming",
];

/// The entry that says that a column of this name is about a person.
pub fn personal(name: &str) -> Option<&'static str> {
    let stripped: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    PERSONAL.into_iter().find(|entry| stripped.contains(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_names_are_found_in_all_their_spellings() {
        for name in [
            "民族",
            "重点人员类别",
            "mz",
            "MZ",
            " ZDRYLB",
            "EthicCode_ethnic",
            "IsSuspectedTerrorist",
            "PlateNo",
            "imsi",
            "face_id_1",
            "License Plate",
            "Plate-No",
            "MAC Address",
        ] {
            assert!(forbidden(name).is_some(), "{name}");
        }
    }

    #[test]
    fn short_keys_inside_ordinary_names_are_no_hits() {
        for name in [
            "alarm_no",
            "jqlbdm",
            "reported_at",
            "amz_region",
            "machine",
            "xdistance",
            "race_track_id",
            "platform",
            "address",
            "county",
        ] {
            assert!(forbidden(name).is_none(), "{name}");
        }
    }
}
