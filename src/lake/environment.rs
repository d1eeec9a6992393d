//! Environments: releases of their own beside the published ones, on the same tables.
//!
//! What an environment builds goes to locations that carry its name, and its releases, journals and leases lie
//! in a folder of its own. So it reads everything that is published and can change none of it.

use std::path::PathBuf;

use crate::error::{Kind, Result, fail, io_error};
use crate::lake::Lake;

/// Characters of a name at most.
const LONGEST: usize = 32;

impl Lake {
    /// The same lake as an environment sees it.
    ///
    /// # Errors
    /// `Input` for a name that is not made of lower-case letters, digits and underscores, beginning with a
    /// letter.
    pub fn in_environment(&self, name: &str) -> Result<Lake> {
        let letters = |part: &str| {
            part.chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        };
        let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
        if !begins || !letters(name) || name.len() > LONGEST {
            return Err(fail(Kind::Input, "environment_name", &[&name, &LONGEST]));
        }
        Ok(Lake {
            environment: Some(name.to_owned()),
            ..self.clone()
        })
    }

    /// The environment, `None` for what is published.
    pub fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// The lake as it is published.
    pub fn published(&self) -> Lake {
        Lake {
            environment: None,
            ..self.clone()
        }
    }

    /// The environments that have releases, in order.
    ///
    /// # Errors
    /// `Unavailable` where the lake cannot be listed.
    pub fn environments(&self) -> Result<Vec<String>> {
        let folders = Lake::entries(&self.root().join("environments"))?;
        let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
        Ok(folders.iter().filter_map(name).collect())
    }

    /// Ends an environment: its releases go; its tables go when the files that no release shows are removed, once
    /// they are old enough to belong to nobody at work.
    ///
    /// # Errors
    /// `Missing` where there is none, `Conflict` where it is built in; as the file system fails.
    pub async fn drop_environment(&self, wait_seconds: u64) -> Result<()> {
        let name = self.environment().unwrap_or_default();
        let folder = self.own("");
        if name.is_empty() || !folder.is_dir() {
            return Err(fail(Kind::Missing, "no_environment", &[&name]));
        }
        // nobody builds in it
        let _lease = self.lease("site", wait_seconds).await?;
        std::fs::remove_dir_all(&folder).map_err(|cause| io_error(&folder, &cause))
    }

    /// A path of what is not shared: releases, journals, leases.
    pub(super) fn own(&self, relative: &str) -> PathBuf {
        match &self.environment {
            Some(name) => self.root().join("environments").join(name).join(relative),
            None => self.root().join(relative),
        }
    }

    /// The number of a location that is written to from here; `None` for any other.
    pub(super) fn location_number(&self, location: &str) -> Option<u64> {
        match &self.environment {
            Some(name) => location.strip_prefix(name.as_str())?.strip_prefix('-')?.parse().ok(),
            None => location.parse().ok(),
        }
    }

    /// Whether a location is written to from here.
    pub fn writes(&self, location: &str) -> bool {
        self.location_number(location).is_some()
    }

    /// The location of a number.
    pub(super) fn location(&self, number: u64) -> String {
        match &self.environment {
            Some(name) => format!("{name}-{number}"),
            None => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_writes_to_its_own_locations_and_no_name_leads_out_of_its_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = Lake::open(folder.path(), "lake").expect("a lake");
        let dev = lake.in_environment("dev").expect("a name");
        assert!(dev.writes("dev-3") && !dev.writes("3") && !dev.writes("dev2-3"));
        assert!(lake.writes("3") && !lake.writes("dev-3"));
        assert_eq!(
            (dev.location(4), lake.location(4)),
            ("dev-4".to_owned(), "4".to_owned())
        );
        for wrong in ["", "..", "a/b", "Dev", "3", "a-1", "a\u{4e2d}", &"a".repeat(33)] {
            assert!(lake.in_environment(wrong).is_err(), "{wrong}");
        }
    }
}
