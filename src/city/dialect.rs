//! How each county's 110 system writes its three document feeds: encoding, column names, time format and coordinates. The
//! differences are those seen in the field; the contracts, not this module, know how to read them back.

/// The bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-8 behind a byte order mark.
    Utf8Bom,
    /// GB18030, with characters that GBK lacks.
    Gb18030,
}

/// The dialect of one county.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Bytes of alarm, dispatch and feedback files.
    pub encoding: Encoding,
    /// Column names are initials of pinyin and times are 14 digits.
    pub is_pinyin: bool,
    /// Alarm coordinates are GCJ-02 instead of WGS-84.
    pub is_gcj02: bool,
    /// Arrivals are entered in batches: whole minutes, never later than five.
    pub is_batch: bool,
    /// Some alarm rows carry a broken byte sequence.
    pub has_broken_bytes: bool,
}

impl Dialect {
    /// The dialect of a county by code.
    pub fn of(code: &str) -> Self {
        Self {
            encoding: match code {
                "990103" => Encoding::Gb18030,
                "990105" => Encoding::Utf8Bom,
                _ => Encoding::Utf8,
            },
            is_pinyin: code == "990106",
            is_gcj02: code == "990108",
            is_batch: matches!(code, "990107" | "990110"),
            has_broken_bytes: matches!(code, "990102" | "990103"),
        }
    }

    /// The header of an alarm file.
    pub fn alarm_header(self) -> &'static str {
        if self.is_pinyin {
            "jjdbh,zjjdbh,bjsj,bjfsdm,jqlbdm,jqjb,xzqh,pcsdm,jd,wd,afdd,cslx,bjrxm,lxdh,zjhm,bjnr"
        } else {
            "alarm_no,main_alarm_no,reported_at,report_mode,category,priority,county,area,lon,lat,address,place_kind,\
             caller_name,caller_phone,caller_id_no,content"
        }
    }

    /// The header of a dispatch file.
    pub fn dispatch_header(self) -> &'static str {
        if self.is_pinyin {
            "pjdbh,jjdbh,cjdwlx,gxdwdm,pjsj,qssj,sjcjsj,ddxcsj,hh"
        } else {
            "dispatch_no,alarm_no,unit_kind,station,dispatched_at,acknowledged_at,enroute_at,arrived_at,call_sign"
        }
    }

    /// The header of a feedback file.
    pub fn feedback_header(self) -> &'static str {
        if self.is_pinyin {
            "fkdbh,jjdbh,zzfkbs,jqlbdm,cljgdm,clwbsj,fksj,fkrxm,cjqk"
        } else {
            "feedback_no,alarm_no,is_final,category_final,result,handled_at,fed_back_at,officer_name,detail"
        }
    }

    /// Writes a local time the way this county does.
    pub fn push_time(self, out: &mut String, moment: super::text::Moment) {
        if self.is_pinyin {
            moment.push_compact(out)
        } else {
            moment.push_local(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_have_the_same_number_of_columns() {
        let (plain, pinyin) = (Dialect::of("990101"), Dialect::of("990106"));
        let count = |header: &str| header.split(',').count();
        assert_eq!(count(plain.alarm_header()), 16);
        assert_eq!(count(plain.alarm_header()), count(pinyin.alarm_header()));
        assert_eq!(count(plain.dispatch_header()), count(pinyin.dispatch_header()));
        assert_eq!(count(plain.feedback_header()), count(pinyin.feedback_header()));
        assert!(!plain.alarm_header().contains(' '));
    }
}
