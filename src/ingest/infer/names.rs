//! Names of columns in the field: what each is called in the domain, and which speak of people.

use std::sync::LazyLock;

use crate::protect::{lexicon, scan};

/// Columns of the domain and the names they have in the field, the surest name first; `~` begins a
/// part of a name. The letter says in which files the role exists: `a` calls, `c` cameras, `s` series,
/// `p` places and codes, `*` all.
const ROLES: &str = "\
a alarm_id: jjdbh jjdh jqbh alarmid alarmno alarmnumber incidentnumber incidentno incidentid casenumber caseno \
callnumber callno callid eventnumber eventno eventid itemnumber itemno cadnumber cadid masterincidentnumber \
接警单编号 接警单号 警情编号 报警编号 接处警编号 id
a main_alarm_id: zjjdbh mainalarmno mainalarmid parentincident 主接警单编号 主接警单号
a dispatch_id: cjdbh pjdbh dispatchid dispatchno 处警单编号 派警单编号 处警单号 派警单号
a feedback_id: fkdbh feedbackid feedbackno 反馈单编号 反馈单号
a reported_at: bjsj reportedat reporttime reportedtime reporteddate timecreate timecreated createtime createdtime \
createdat datecreated received receivedat receivedtime timereceived callreceived calltime calldatetime \
incidentdatetime incidenttime eventtime eventdatetime entrydatetime responsedatetime responsedate timestamp datetime \
jjsj hrsj 报警时间 接警时间 呼入时间 来电时间 ~received ~reported ~报警时间 ~接警时间 time
a occurred_from: afsj fasj afsjcz occurredat occurrencedate 案发时间 发生时间 发案时间
a dispatched_at: pjsj dispatchedat dispatched timedispatch dispatchtime dispatchdatetime assignedtime 派警时间 \
~timedispatch ~dispatchtime ~dispatched ~派警时间
a acknowledged_at: qssj acknowledgedat acknowledged 签收时间 ~acknowledg
a enroute_at: sjcjsj cjsj enroute enrouteat timeenroute 出警时间 出动时间 ~enroute
a arrived_at: ddxcsj ddsj arrivedat arrived timearrive timearrival arrivaltime onscene onsceneat 到达时间 \
到达现场时间 到场时间 ~arriv ~onscene ~到达
a handled_at: clwbsj handledat 处理完毕时间 处置完毕时间
a fed_back_at: fksj fedbackat feedbacktime 反馈时间
a closed_at: jasj closedat closed timeclosed closetime cleared cleartime 结案时间 办结时间 ~closed ~cleared
a report_mode: bjfsdm bjfs reportmode callsource howreceived receivedby callorigin 报警方式 报警方式代码 接警方式 来话类型
a self_initiated: selfinitiated onview onviewflag officerinitiated policeinitiated isonview proactive
a category_final: ajlbbh categoryfinal 终审类别 反馈类别
a category_call: initialtypetext initialcalltype initialcalltypedescription categorycall
a category: jqlbdm bjlbdm jqlb bjlb problemtype typetext finalcalltype finalcalltypedescription calltypedescription \
calltype nature natureofcall incidenttype eventtype problem title type category typecode signalcode 警情类别 \
警情类别代码 警情类型 报警类别 案由
a priority: jqjb jqjbdm priority finalpriority prioritycode prioritylevel 警情级别 级别 优先级 紧急程度
a result: cljgdm cljg result disposition dispositioncode clearancecode outcome 处理结果 处理结果代码
a is_final: zzfkbs isfinal 终审标志
a unit_kind: cjdwlx unitkind unittype 处警单位类型
a place_kind: cslx placekind placetype premisetype locationtype 场所类型 场所类别
c camera_id: sxjbh sbbh sbbm gbbm cameraid camerano cameranumber apeid deviceid 摄像机编号 设备编号 设备编码 国标编码 \
点位编号 randomid id objectid
c name: mc name cameraname sbmc devicename 名称 设备名称 点位名称 摄像机名称
c kind: sblx kind cameratype devicetype 设备类型 摄像机类型
c bearing: fx bearing azimuth heading direction 方位角 朝向
c fov: fov fovdeg 视场角
c range_metres: range rangem rangemetres
c is_networked: isnetworked isonline sflw 是否联网
s camera_id: cameraid sxjbh 摄像机编号
s sensor_id: installationid sensorid segmentid counterid detectorid stationid deviceid siteid sbbh 设备编号
s window_start: windowstart dateandtimelocal dateandtime datetime timestamp begintime starttime time date 开始时间 时间
s class: class vehicleclass
p code: code dm bm geoid geography areaid adcode xzqhdm 代码 编码 区划代码 行政区划代码 id
p name: mc name 名称 地名 标准地名 geographicareaname
p kind: kind lx type 类型 类别
* county: xzqh xzqhdm afxzqh county countycode adcode qxdm districtcode areacode 区县 县区 行政区划 行政区划代码 所属区县
* area: pcsdm area beat patroldistrict beatname sector zone precinct district policedistrict gxdwdm reportingarea \
gridlocation grid twp township neighborhood community ward 派出所 管辖单位 辖区 社区 街道 sqdm jddm
* lon: lon lng longitude long jd lond dhdwjd fxdwjd zbjd 经度 东经 ~longitude ~经度
* lat: lat latitude wd latd dhdwwd fxdwwd zbwd 纬度 北纬 ~latitude ~纬度
* x: xzb x mapx xcoord xcoordinate easting pointx x坐标 横坐标
* y: yzb y mapy ycoord ycoordinate northing pointy y坐标 纵坐标
* position: location point geom thegeom wkt geopoint position georeference
* zip: zip zipcode zip5 postcode postalcode 邮编 邮政编码
* updated_at: gxsj sjgxsj updatedat lastupdate lastupdated lastmodified modifiedat 更新时间";

/// Roles whose values are codes and names, also where they look like numbers.
pub(super) const TEXT_ROLES: &str = "alarm_id main_alarm_id dispatch_id feedback_id report_mode category category_call \
category_final result unit_kind place_kind camera_id sensor_id name kind class code county area zip";

/// Names of columns about people beyond the lexicon: callers, officers, accounts.
pub(super) const PERSON: &str = "bjrxm bjrxb lxdh bjdh yhxm yhsfz yhdz jjyxm jjyh jjygh jjlyh fkrxm zjhm hh xm sfz sfzhm officerid \
unitid unit units primaryunit unitcallsign dispatcher calltaker operator clerk clerkname username password userid ip \
ipaddress ipaddr ipv6addr age sex gender dob birthdate birthday 联系方式 性别 年龄 出生日期 登录名 密码 处警人 经办人 \
~officer ~badge ~employee ~caller ~complainant ~victim ~suspect ~联系人 ~民警 ~警员 ~接警员 ~maintainer";
/// Names of columns with words that somebody typed.
pub(super) const PROSE: &str = "bjnr cjqk jqgjz zhrs note notes details summary memo content contents bz 备注 \
~narrative ~comment ~remark ~备注 ~内容 ~案情 ~处警情况";
/// Names of columns that say where somebody lives.
pub(super) const ADDRESS: &str = "afdd afdz addr street streetname location dz xxdz place 地址 地点 ~address ~intersection \
~地址 ~住址 ~地点";

/// Texts that may mean "empty"; the first seven mean nothing else.
pub(super) const NULLS: [&str; 15] = [
    "NULL", "null", "Null", "\\N", "(null)", "NaN", "#N/A", "nan", "None", "N/A", "n/a", "-", "--", "*****", "无",
];
/// How many of [`NULLS`] mean nothing else.
pub(super) const SURE_NULLS: usize = 7;

pub(super) struct Role {
    pub(super) files: char,
    pub(super) name: &'static str,
    pub(super) words: Vec<&'static str>,
}

pub(super) static KNOWN: LazyLock<Vec<Role>> = LazyLock::new(|| {
    let role = |line: &'static str| {
        let (head, words) = line.split_once(": ")?;
        let (files, name) = head.split_once(' ')?;
        Some(Role {
            files: files.chars().next()?,
            name,
            words: words.split_whitespace().collect(),
        })
    };
    ROLES.lines().filter_map(role).collect()
});

/// A name as the tables of names spell it.
pub(super) fn normal(name: &str) -> String {
    let name = scan::half_width(name);
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// How well `normal` fits the words; 0 is best.
pub(super) fn fits(mut words: impl Iterator<Item = &'static str>, normal: &str) -> Option<usize> {
    words.position(|word| match word.strip_prefix('~') {
        Some(part) => normal.contains(part),
        None => word == normal,
    })
}

pub(super) fn is_listed(words: &'static str, normal: &str) -> bool {
    fits(words.split_whitespace(), normal).is_some()
}

/// How well a column of this name fits a role in files of this kind; 0 is best.
pub(super) fn rank(role: &str, files: char, name: &str) -> Option<usize> {
    let normal = normal(name);
    let mut fitting = KNOWN
        .iter()
        .filter(|known| known.name == role && (known.files == files || known.files == '*'));
    fitting.find_map(|known| fits(known.words.iter().copied(), &normal))
}

/// Whether any role has a column of this name.
pub(super) fn is_known(name: &str) -> bool {
    let normal = normal(name);
    KNOWN.iter().any(|known| known.words.contains(&normal.as_str())) || lexicon::forbidden(name).is_some()
}

/// Whether a text may mean "empty".
pub(super) fn is_null(text: &str) -> bool {
    text.trim().is_empty() || NULLS.contains(&text.trim())
}

/// A name in the style of tables: lower case, words joined by `_`. Empty where nothing can be spelled.
pub(super) fn snake(name: &str) -> String {
    let name = scan::half_width(name);
    if name.chars().any(|c| ('\u{3400}'..='\u{9fff}').contains(&c)) {
        return String::new();
    }
    let mut snake = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            before = ' ';
            continue;
        }
        let starts_word = before == ' ' || (c.is_ascii_uppercase() && before.is_ascii_lowercase());
        if starts_word && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        before = c;
    }
    if snake.starts_with(|c: char| c.is_ascii_digit()) {
        snake.insert_str(0, "n_");
    }
    snake
}

/// Whether numbers under this name are codes: leading zeros count, sums mean nothing.
pub(super) fn is_code_name(name: &str) -> bool {
    let (snake, normal) = (snake(name), normal(name));
    let last = snake.rsplit('_').next().unwrap_or_default();
    let zip = ["zip", "zipcode", "postcode", "postal"];
    ["id", "no", "num", "number", "code", "key", "cd", "gid", "oid"].contains(&last)
        || snake.split('_').any(|word| zip.contains(&word))
        || ["dm", "bh", "bm", "编号", "代码", "编码", "号码", "单号"]
            .iter()
            .any(|ending| normal.ends_with(ending))
}

/// Whether a name speaks of time.
pub(super) fn says_time(name: &str) -> bool {
    let normal = normal(name);
    let parts = ["time", "date", "stamp", "时间", "日期", "时刻"];
    let raw = name.to_lowercase();
    parts.iter().any(|part| normal.contains(part))
        || ["sj", "rq"].iter().any(|ending| normal.ends_with(ending))
        || ["_at", "_ts", "_on"].iter().any(|ending| raw.ends_with(ending))
        || ["reported_at", "dispatched_at", "arrived_at", "enroute_at", "closed_at"]
            .iter()
            .any(|role| rank(role, 'a', name).is_some())
}
