//! stub
use std::collections::BTreeMap;
use crate::config::site::SiteFile; use crate::engine::Session; use crate::error::Result; use crate::message::Language;
pub struct Workbook; pub struct Facts { pub release: u64, pub made_at: String, pub digest: String, pub run_id: String, pub site_title: [String;2], pub synthetic: bool, pub off: BTreeMap<String,String>, pub notes: Vec<[String;2]> }
pub struct Page;
impl Workbook { pub fn parse(_: &SiteFile) -> Result<Workbook> { Ok(Workbook) } pub async fn run(&self, _: &Session, _: &Facts, _: usize) -> Result<Page> { Ok(Page) } }
impl Page { pub fn html(&self) -> Result<String> { Ok("x".into()) } pub fn text(&self, _: Language) -> String { String::new() } }
