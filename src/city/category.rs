//! The alarm categories of the synthetic city: how often each occurs, when, how it is reported, where, and how often a unit is
//! sent. Shares follow published bulletins only roughly; which categories may be mapped is decided by contracts, not here.

/// The shape of a day: relative weight of its 24 hours.
pub type Hours = [f64; 24];

/// Two peaks, 9–11 and 16–20: the shape of all calls together.
#[rustfmt::skip]
pub const DAY: Hours = [
    1.6, 1.1, 0.8, 0.6, 0.6, 0.9, 1.8, 3.4, 5.0, 6.3, 6.4, 5.4, 4.2, 4.0, 4.5, 5.0, 5.9, 6.5, 6.6, 6.2, 5.2, 4.3, 3.2, 2.2,
];
/// Roads: sharper commuting peaks.
#[rustfmt::skip]
pub const COMMUTE: Hours = [
    0.9, 0.6, 0.4, 0.4, 0.5, 1.2, 3.0, 7.0, 7.6, 6.0, 5.4, 4.8, 4.0, 4.0, 4.6, 5.0, 6.4, 8.2, 8.4, 6.0, 4.0, 3.0, 2.2, 1.5,
];
/// Evenings and nights.
#[rustfmt::skip]
pub const NIGHT: Hours = [
    6.5, 5.2, 3.8, 2.4, 1.4, 1.0, 1.0, 1.4, 1.8, 2.0, 2.2, 2.6, 3.0, 2.6, 2.4, 2.4, 2.8, 3.4, 4.6, 6.4, 8.0, 9.0, 9.4, 8.0,
];
/// Office hours.
#[rustfmt::skip]
pub const OFFICE: Hours = [
    0.3, 0.2, 0.2, 0.2, 0.2, 0.4, 1.0, 3.0, 8.0, 11.0, 10.5, 7.0, 3.6, 4.6, 8.4, 9.0, 8.0, 6.0, 4.4, 3.6, 2.8, 2.0, 1.2, 0.6,
];
/// After dark only: how noise is reported on the eve and first day of Spring Festival.
#[rustfmt::skip]
pub const EVENING: Hours = [
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 3.5, 4.0, 4.5,
];

/// Ways a call arrives, in the order of [`Category::modes`].
pub const REPORT_MODES: [&str; 7] = ["0101", "0102", "0200", "0400", "0600", "0901", "P001"];
/// Index of the 110 telephone in [`REPORT_MODES`].
pub const PHONE: usize = 0;
/// Index of a device alarm in [`REPORT_MODES`].
pub const DEVICE: usize = 3;
/// Index of "found by a patrol" in [`REPORT_MODES`].
pub const PATROL: usize = 6;

/// Kinds of place, in the order of [`Category::places`].
pub const PLACE_KINDS: [&str; 9] = [
    "home",
    "shop",
    "street",
    "school",
    "hospital",
    "venue",
    "transport",
    "workplace",
    "other",
];
/// Index of homes in [`PLACE_KINDS`].
pub const HOME: usize = 0;
/// Index of shops in [`PLACE_KINDS`].
pub const SHOP: usize = 1;
/// Index of open streets in [`PLACE_KINDS`].
pub const STREET: usize = 2;

/// One category of call.
#[derive(Debug)]
pub struct Category {
    /// Source code.
    pub code: &'static str,
    /// What a call-taker writes, in Chinese.
    pub text: &'static str,
    /// Share of all calls in percent.
    pub weight: f64,
    /// Shape of the day.
    pub hours: &'static Hours,
    /// Factor on weekends.
    pub weekend: f64,
    /// Factor on public holidays.
    pub holiday: f64,
    /// Amplitude of the year: positive is more in summer.
    pub summer: f64,
    /// Probability that a unit is sent.
    pub dispatched: f64,
    /// Priority of most of its calls, 1 most urgent.
    pub priority: u8,
    /// Weights of [`REPORT_MODES`].
    pub modes: [f64; 7],
    /// Weights of [`PLACE_KINDS`].
    pub places: [f64; 9],
    /// Category it becomes when feedback corrects the call-taker.
    pub corrected: &'static str,
}

type Modes = [f64; 7];
type Places = [f64; 9];

const CITIZEN: Modes = [78.0, 0.0, 9.0, 0.0, 8.0, 5.0, 0.0];
const STREET_LIFE: Modes = [80.0, 0.0, 6.0, 0.0, 5.0, 2.0, 7.0];
const GUARDED: Modes = [68.0, 0.0, 12.0, 12.0, 6.0, 2.0, 0.0];
const ROAD: Modes = [38.0, 48.0, 1.0, 2.0, 5.0, 1.0, 5.0];
const PARKING: Modes = [30.0, 28.0, 0.0, 1.0, 11.0, 9.0, 21.0];
const FOUND: Modes = [10.0, 0.0, 2.0, 0.0, 3.0, 0.0, 85.0];
const TRANSFER: Modes = [34.0, 0.0, 2.0, 0.0, 9.0, 55.0, 0.0];
const MISDIALLED: Modes = [90.0, 5.0, 0.0, 3.0, 2.0, 0.0, 0.0];

const ANYWHERE: Places = [28.0, 16.0, 24.0, 3.0, 4.0, 6.0, 6.0, 8.0, 5.0];
const DWELLING: Places = [88.0, 2.0, 4.0, 0.0, 0.0, 0.0, 0.0, 2.0, 4.0];
const TRADE: Places = [14.0, 32.0, 22.0, 4.0, 5.0, 10.0, 9.0, 2.0, 2.0];
const NIGHTLIFE: Places = [16.0, 22.0, 30.0, 3.0, 3.0, 18.0, 5.0, 2.0, 1.0];
const CARRIAGEWAY: Places = [0.0, 2.0, 86.0, 1.0, 1.0, 0.0, 8.0, 1.0, 1.0];
const WORK: Places = [2.0, 14.0, 6.0, 3.0, 4.0, 6.0, 1.0, 62.0, 2.0];

macro_rules! category {
    ($code:literal $text:literal $weight:literal $hours:ident we $weekend:literal ho $holiday:literal su $summer:literal
     sent $dispatched:literal p $priority:literal $modes:ident $places:ident -> $corrected:literal) => {
        Category {
            code: $code,
            text: $text,
            weight: $weight,
            hours: &$hours,
            weekend: $weekend,
            holiday: $holiday,
            summer: $summer,
            dispatched: $dispatched,
            priority: $priority,
            modes: $modes,
            places: $places,
            corrected: $corrected,
        }
    };
}

/// All categories; weights sum to 100.
#[rustfmt::skip]
pub const CATEGORIES: [Category; 26] = [
    category!("0101" "物品被盗" 3.00 DAY we 1.05 ho 0.95 su 0.10 sent 0.90 p 3 CITIZEN TRADE -> "9902"),
    category!("0102" "家中被撬" 0.80 NIGHT we 1.00 ho 1.15 su -0.15 sent 0.95 p 2 GUARDED DWELLING -> "0101"),
    category!("0103" "被抢" 0.10 NIGHT we 1.10 ho 1.00 su -0.05 sent 0.99 p 1 CITIZEN TRADE -> "0201"),
    category!("0104" "电信诈骗" 1.60 OFFICE we 0.85 ho 0.70 su 0.00 sent 0.70 p 2 CITIZEN ANYWHERE -> "0601"),
    category!("0201" "打架" 1.60 NIGHT we 1.25 ho 1.20 su 0.25 sent 0.97 p 1 STREET_LIFE NIGHTLIFE -> "0401"),
    category!("0202" "财物被毁" 0.70 NIGHT we 1.10 ho 1.00 su 0.10 sent 0.90 p 3 CITIZEN TRADE -> "0401"),
    category!("0203" "噪音扰民" 1.90 NIGHT we 1.30 ho 1.25 su 0.35 sent 0.85 p 4 CITIZEN ANYWHERE -> "0401"),
    category!("0204" "查获赌博" 0.20 NIGHT we 1.10 ho 1.60 su -0.10 sent 0.97 p 3 FOUND NIGHTLIFE -> "9902"),
    category!("0205" "查获卖淫嫖娼" 0.10 NIGHT we 1.10 ho 0.80 su 0.00 sent 0.97 p 3 FOUND NIGHTLIFE -> "9902"),
    category!("0301" "交通事故" 14.0 COMMUTE we 0.90 ho 0.90 su 0.05 sent 0.92 p 2 ROAD CARRIAGEWAY -> "0302"),
    category!("0302" "道路拥堵" 6.00 COMMUTE we 0.80 ho 1.10 su 0.00 sent 0.50 p 3 ROAD CARRIAGEWAY -> "0301"),
    category!("0303" "违法停车" 10.0 DAY we 1.05 ho 0.95 su 0.00 sent 0.72 p 4 PARKING CARRIAGEWAY -> "0302"),
    category!("0401" "邻里纠纷" 2.00 DAY we 1.20 ho 1.10 su 0.15 sent 0.85 p 3 CITIZEN DWELLING -> "0203"),
    category!("0402" "家庭纠纷" 2.20 NIGHT we 1.20 ho 1.35 su 0.05 sent 0.90 p 2 CITIZEN DWELLING -> "0401"),
    category!("0403" "劳资纠纷" 1.20 OFFICE we 0.60 ho 0.40 su -0.25 sent 0.80 p 3 CITIZEN WORK -> "0601"),
    category!("0501" "紧急求助" 4.20 DAY we 1.05 ho 1.05 su 0.10 sent 0.90 p 1 CITIZEN ANYWHERE -> "0701"),
    category!("0502" "人员走失" 0.50 DAY we 1.05 ho 1.10 su 0.10 sent 0.97 p 1 CITIZEN ANYWHERE -> "0501"),
    category!("0503" "轻生求助" 0.20 NIGHT we 1.00 ho 1.00 su 0.05 sent 0.99 p 1 CITIZEN ANYWHERE -> "0501"),
    category!("0601" "咨询" 12.0 OFFICE we 0.70 ho 0.55 su 0.00 sent 0.04 p 4 TRANSFER ANYWHERE -> "0701"),
    category!("0701" "转社会联动" 8.00 DAY we 0.90 ho 0.85 su 0.10 sent 0.15 p 4 TRANSFER ANYWHERE -> "0601"),
    category!("0801" "举报线索" 0.60 DAY we 0.95 ho 0.90 su 0.00 sent 0.60 p 3 CITIZEN ANYWHERE -> "0601"),
    category!("0802" "投诉" 0.80 OFFICE we 0.75 ho 0.60 su 0.00 sent 0.10 p 4 TRANSFER WORK -> "0601"),
    category!("0901" "人员聚集" 0.05 OFFICE we 0.70 ho 0.50 su 0.00 sent 0.99 p 1 CITIZEN WORK -> "0403"),
    category!("0902" "上访" 0.05 OFFICE we 0.40 ho 0.20 su 0.00 sent 0.90 p 2 CITIZEN WORK -> "0601"),
    category!("9901" "无效报警" 25.0 DAY we 1.05 ho 1.10 su 0.05 sent 0.03 p 4 MISDIALLED ANYWHERE -> "0601"),
    category!("9902" "其他" 3.20 DAY we 1.00 ho 1.00 su 0.00 sent 0.55 p 3 CITIZEN ANYWHERE -> "0601"),
];

/// Index of a code in [`CATEGORIES`]; the last one, "other", for a code that is not there.
pub fn category_index(code: &str) -> usize {
    CATEGORIES
        .iter()
        .position(|category| category.code == code)
        .unwrap_or(CATEGORIES.len() - 1)
}

impl Category {
    /// Part of the category's rate on a day of this kind and season (`season` runs from −1 in mid-winter to 1 in mid-summer).
    pub fn day_factor(&self, kind: super::calendar::DayKind, season: f64) -> f64 {
        use super::calendar::DayKind;
        let by_day = match kind {
            DayKind::Workday | DayKind::SwappedWorkday => 1.0,
            DayKind::Weekend => self.weekend,
            DayKind::Holiday => self.holiday,
        };
        by_day * (1.0 + self.summer * season)
    }

    /// True for calls that happen on the carriageway.
    pub fn is_traffic(&self) -> bool {
        self.code.starts_with("03")
    }

    /// True for calls that often have no position at all: misdialled and joke calls.
    pub fn is_invalid(&self) -> bool {
        self.code == "9901"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_as_published() {
        let share = |prefixes: &[&str]| -> f64 {
            let wanted = |code: &str| prefixes.iter().any(|prefix| code.starts_with(prefix));
            CATEGORIES
                .iter()
                .filter(|category| wanted(category.code))
                .map(|category| category.weight)
                .sum()
        };
        assert!((share(&[""]) - 100.0).abs() < 1e-9);
        assert!((share(&["03"]) - 30.0).abs() < 1e-9);
        assert!((share(&["01", "02"]) - 10.0).abs() < 1e-9);
        assert!((share(&["06", "07"]) - 20.0).abs() < 1e-9);
        let sent: f64 = CATEGORIES
            .iter()
            .map(|category| category.weight * category.dispatched)
            .sum();
        assert!((44.0..47.5).contains(&sent), "{sent}");
    }

    #[test]
    fn corrections_name_existing_categories() {
        for category in &CATEGORIES {
            assert_eq!(CATEGORIES[category_index(category.corrected)].code, category.corrected);
            assert_ne!(category.code, category.corrected);
        }
    }
}
