//! Users and groups, as /etc/passwd and /etc/group know them.
//!
//! They are read here and not asked of the C library, whose static form would need its shared one for that.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A user, and what belongs to him.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// As it was written, or as it is known.
    pub name: String,
    /// His number.
    pub uid: u32,
    /// His own group.
    pub gid: u32,
    /// Other groups he is in.
    pub groups: Vec<u32>,
    /// His folder; `None` for a number that is nobody's.
    #[serde(default)]
    pub home: Option<PathBuf>,
    /// His shell; `None` for a number that is nobody's.
    #[serde(default)]
    pub shell: Option<PathBuf>,
}

impl Account {
    /// Variables that say who one is, as systemd sets them. Whoever has no folder gets one that all can read: the
    /// supervisor's own is not meant for him.
    pub fn environment(&self) -> [(&'static str, OsString); 4] {
        let path = |path: &Option<PathBuf>, usual: &str| {
            path.clone().unwrap_or_else(|| usual.into()).into_os_string()
        };
        [
            ("USER", OsString::from(&self.name)),
            ("LOGNAME", OsString::from(&self.name)),
            ("HOME", path(&self.home, "/")),
            ("SHELL", path(&self.shell, "/bin/sh")),
        ]
    }
}

/// The user of that name, if there is one.
pub(crate) fn known_user(name: &str) -> Option<Account> {
    user(name).filter(|account| account.name == name)
}

/// A user, by name or number.
pub(super) fn user(wanted: &str) -> Option<Account> {
    account(wanted, &read("/etc/passwd"), &read("/etc/group"))
}

/// The number of a group, by name or number.
pub(super) fn group(wanted: &str) -> Option<u32> {
    wanted.parse().ok().or_else(|| {
        let groups = read("/etc/group");
        let mut found = groups.lines().map(fields).filter(|fields| fields.first() == Some(&wanted));
        found.next()?.get(2)?.parse().ok()
    })
}

/// What cannot be read names nobody.
fn read(path: &str) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn fields(line: &str) -> Vec<&str> {
    line.split(':').collect()
}

/// The account with that name or number (passwd(5): name, password, uid, gid, comment, home, shell; group(5): name,
/// password, gid, members). A number that is nobody's is a user without name, whose group has the same number.
fn account(wanted: &str, passwd: &str, group: &str) -> Option<Account> {
    let number = wanted.parse::<u32>().ok();
    let known = passwd.lines().map(fields).find_map(|fields| {
        let (name, uid, gid) = (*fields.first()?, fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        let path = |at: usize| fields.get(at).filter(|path| !path.is_empty()).map(PathBuf::from);
        let known =
            || Account { name: name.to_owned(), uid, gid, groups: vec![], home: path(5), shell: path(6) };
        (name == wanted || number == Some(uid)).then(known)
    });
    let Some(mut account) = known else {
        let unnamed =
            |number| Account { name: wanted.to_owned(), uid: number, gid: number, ..Account::default() };
        return number.map(unnamed);
    };
    let is_member =
        |fields: &[&str]| fields.get(3).is_some_and(|all| all.split(',').any(|one| one == account.name));
    let groups = group.lines().map(fields).filter(|fields| is_member(fields));
    account.groups = groups.filter_map(|fields| fields.get(2)?.parse().ok()).collect();
    Some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_name_or_number_with_its_groups() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\natlas:x:501:502::/srv:/bin/false\n";
        let group = "root:x:0:\natlas:x:502:\naudio:x:29:pulse,atlas\ndialout:x:20:atlas\nbroken";
        let atlas = Account {
            name: "atlas".into(),
            uid: 501,
            gid: 502,
            groups: vec![29, 20],
            home: Some("/srv".into()),
            shell: Some("/bin/false".into()),
        };
        assert_eq!(account("atlas", passwd, group), Some(atlas.clone()));
        assert_eq!(account("501", passwd, group), Some(atlas));
        assert_eq!(account("nobody-here", passwd, group), None);
        let unnamed = Account { name: "777".into(), uid: 777, gid: 777, ..Account::default() };
        assert_eq!(account("777", passwd, group), Some(unnamed));
    }
}
