//! Invented names of the synthetic city, Chinese and English side by side: syllables for streets and landmarks, and names for the
//! people whose rows the contracts must drop. Nothing here is taken from a real register, and no name is scored anywhere.

use crate::stat::random::Stream;

#[rustfmt::skip]
const FIRST: [(&str, &str); 26] = [
    ("云", "yun"), ("砚", "yan"), ("清", "qing"), ("长", "chang"), ("霜", "shuang"), ("白", "bai"), ("墨", "mo"),
    ("松", "song"), ("柳", "liu"), ("沙", "sha"), ("鹤", "he"), ("北", "bei"), ("南", "nan"), ("玉", "yu"),
    ("竹", "zhu"), ("梅", "mei"), ("双", "shuang"), ("雁", "yan"), ("银", "yin"), ("槐", "huai"), ("芦", "lu"),
    ("枫", "feng"), ("星", "xing"), ("晚", "wan"), ("棠", "tang"), ("石", "shi"),
];
#[rustfmt::skip]
const SECOND: [(&str, &str); 25] = [
    ("溪", "xi"), ("桥", "qiao"), ("河", "he"), ("山", "shan"), ("泉", "quan"), ("岭", "ling"), ("湖", "hu"),
    ("塘", "tang"), ("坪", "ping"), ("湾", "wan"), ("川", "chuan"), ("汀", "ting"), ("台", "tai"), ("洼", "wa"),
    ("沟", "gou"), ("寨", "zhai"), ("楼", "lou"), ("集", "ji"), ("屯", "tun"), ("渡", "du"), ("垣", "yuan"),
    ("埠", "bu"), ("岗", "gang"), ("浦", "pu"), ("苑", "yuan"),
];
/// Characters outside GBK: four bytes in GB18030, the reason a "GBK" reader fails on a real road list.
const RARE: [(&str, &str); 4] = [("𡐓", "xi"), ("㘵", "dong"), ("𠅤", "ye"), ("𡶴", "shan")];

#[rustfmt::skip]
const SURNAMES: [&str; 24] = [
    "王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林", "何", "郭", "马", "罗",
    "欧阳", "上官", "司徒", "尉迟",
];
#[rustfmt::skip]
const GIVEN: [&str; 30] = [
    "伟", "芳", "娜", "敏", "静", "磊", "军", "洋", "勇", "艳", "杰", "涛", "明", "超", "秀英", "建国", "桂兰", "志强", "海燕",
    "雨桐", "子涵", "浩然", "欣怡", "嘉豪", "晓东", "春梅", "立新", "文静", "永康", "思远",
];

/// What a named place is; the order is that of [`KIND_NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// A road; calls spread along it.
    Road,
    /// A school.
    School,
    /// A hospital.
    Hospital,
    /// A market.
    Market,
    /// A bus or railway station.
    Station,
    /// A park.
    Park,
    /// A bridge.
    Bridge,
}

/// Code, Chinese suffix and English suffix of each [`PlaceKind`].
#[rustfmt::skip]
const KIND_NAMES: [(&str, &str, &str); 7] = [
    ("road", "路", "Road"), ("school", "小学", "School"), ("hospital", "医院", "Hospital"), ("market", "市场", "Market"),
    ("station", "车站", "Station"), ("park", "公园", "Park"), ("bridge", "大桥", "Bridge"),
];

impl PlaceKind {
    /// All kinds, roads first.
    pub const ALL: [Self; 7] = [
        Self::Road,
        Self::School,
        Self::Hospital,
        Self::Market,
        Self::Station,
        Self::Park,
        Self::Bridge,
    ];

    /// The code written to the place-name file.
    pub fn code(self) -> &'static str {
        KIND_NAMES[self as usize].0
    }
}

/// A Chinese and an English name.
#[derive(Clone, Debug)]
pub struct Name {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

fn capitalised(syllables: &str) -> String {
    let mut letters = syllables.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

/// The `number`-th pair of syllables; a stride without common factor visits all 650 pairs before one repeats.
fn syllables(number: usize) -> (String, String) {
    let pair = (number * 263) % (FIRST.len() * SECOND.len());
    let (first, second) = (FIRST[pair % FIRST.len()], SECOND[pair / FIRST.len()]);
    (format!("{}{}", first.0, second.0), format!("{}{}", first.1, second.1))
}

/// The `number`-th street (an urban subdistrict or a rural town).
pub fn street_name(number: usize, urban: bool) -> Name {
    let (zh, en) = syllables(number + 31);
    let (suffix_zh, suffix_en) = if urban {
        ("街道", "Subdistrict")
    } else {
        ("镇", "Town")
    };
    Name {
        zh: zh + suffix_zh,
        en: format!("{} {suffix_en}", capitalised(&en)),
    }
}

/// The `number`-th place of a kind; `rare` puts a four-byte GB18030 character in front.
pub fn place_name(number: usize, kind: PlaceKind, rare: bool) -> Name {
    let (mut zh, mut en) = syllables(number * 7 + 11 + 97 * kind as usize);
    if rare {
        let (sign, sound) = RARE[number % RARE.len()];
        zh.insert_str(0, sign);
        en.insert_str(0, sound);
    }
    let (_, suffix_zh, suffix_en) = KIND_NAMES[kind as usize];
    Name {
        zh: zh + suffix_zh,
        en: format!("{} {suffix_en}", capitalised(&en)),
    }
}

/// Writes a person's invented name.
pub fn push_person(stream: &mut Stream, out: &mut String) {
    out.push_str(SURNAMES[stream.below(SURNAMES.len() as u64) as usize]);
    out.push_str(GIVEN[stream.below(GIVEN.len() as u64) as usize]);
}

/// Writes a mobile number of the right shape in a range (164…) that no operator uses.
pub fn push_phone(stream: &mut Stream, out: &mut String) {
    out.push_str("164");
    super::text::push_padded(out, stream.below(100_000_000), 8);
}

/// Appends the check digit of an 18-digit identity number (GB 11643, mod 11-2) to its first 17 digits.
pub fn push_check_digit(digits: &mut String) {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits
        .bytes()
        .zip(WEIGHTS)
        .map(|(digit, weight)| u32::from(digit.wrapping_sub(b'0')) * weight)
        .sum();
    digits.push(char::from(b"10X98765432"[(sum % 11) as usize]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rare_characters_take_four_bytes() {
        for (sign, _) in RARE {
            let (bytes, _, lost) = encoding_rs::GB18030.encode(sign);
            assert!(!lost && bytes.len() == 4, "{sign}");
        }
    }

    #[test]
    fn street_names_differ() {
        let names: BTreeSet<String> = (0..170).map(|number| street_name(number, true).zh).collect();
        assert_eq!(names.len(), 170);
    }

    #[test]
    fn check_digit_follows_the_standard() {
        // The example printed in GB 11643-1999 itself.
        let mut digits = String::from("11010519491231002");
        push_check_digit(&mut digits);
        assert_eq!(digits, "11010519491231002X");
    }
}
