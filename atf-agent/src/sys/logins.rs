//! The names of the host's users, as its own list has them.

/// Where they are.
const PASSWD: &str = "/etc/passwd";

/// The name with which `uid` logs in; `None` when the list does not say, or not one.
pub fn login_name(uid: u32) -> Option<String> {
    named(&std::fs::read_to_string(PASSWD).ok()?, uid)
}

fn named(passwd: &str, uid: u32) -> Option<String> {
    let lines = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, found) = (fields.next()?, fields.nth(1)?);
        (found.parse() == Ok(uid)).then_some(name)
    });
    let names: Vec<&str> = lines.collect();
    match names.as_slice() {
        [name] if !name.is_empty() => Some((*name).to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_uid_has_the_one_name_that_the_list_gives_it() {
        let passwd =
            "root:x:0:0::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\na:x:7:7\nb:x:7:8\n:x:9:9\nx";
        for (uid, name) in
            [(0, Some("root")), (1_001, Some("bob")), (7, None), (9, None), (5, None)]
        {
            assert_eq!(named(passwd, uid).as_deref(), name, "{uid}");
        }
    }
}
