use proptest::prelude::*;

use super::*;

fn given(folders: &[&str], commands: &[&str], hosts: &[&str]) -> types::Limits {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    types::Limits { folders: texts(folders), commands: texts(commands), hosts: texts(hosts) }
}

fn limits(folders: &[&str], commands: &[&str], hosts: &[&str]) -> Limits {
    Limits::parse(&given(folders, commands, hosts)).expect("limits")
}

/// Lists of few entries from a small tree, so that they often lie within each other.
fn list(parts: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(parts), 0..4)
        .prop_map(|list| list.into_iter().map(str::to_owned).collect())
}

/// Any limits.
pub(in super::super) fn any() -> impl Strategy<Value = Limits> {
    let folders = list(&["/", "/a", "/a/b", "/a/c", "/ab", "/a/b/d", "C:\\", "C:\\a"]);
    let commands = list(&["git", "git status", "git log", "git log -p", "ls"]);
    let hosts = list(&["a.org", "*.a.org", "b.a.org", "*.b.a.org", "c.b.a.org", "*.org", "127.0.0.1", "[::1]"]);
    (folders, commands, hosts).prop_map(|(folders, commands, hosts)| {
        Limits::parse(&types::Limits { folders, commands, hosts }).expect("limits")
    })
}

#[test]
fn entries_are_brought_into_one_form() {
    let read = types::Limits::from(&limits(
        &["/home//sam/./notes/", "c:/Users\\sam/", "/"],
        &[" git   status ", "git status -s", "ls"],
        &["Example.ORG.", "*.example.org", "www.example.org", "[0:0:0:0:0:0:0:1]", "10.0.0.7"],
    ));
    assert_eq!(read.folders, ["/", "C:\\Users\\sam"], "what lies within another is left out");
    assert_eq!(read.commands, ["git status", "ls"]);
    assert_eq!(read.hosts, ["*.example.org", "10.0.0.7", "[::1]", "example.org"]);
    assert_eq!(Limits::parse(&read).expect("again"), Limits::parse(&read.clone()).expect("again"));
}

#[test]
fn what_means_nothing_is_refused_with_a_sentence() {
    let long = format!("/{}", "x".repeat(MAX_ENTRY));
    for folder in [
        "",
        "notes",
        "~/notes",
        "../x",
        "/a/../b",
        "C:",
        "C:notes",
        "C:\\a\\..",
        "C:\\a.",
        "\\\\server\\a",
        "/a\u{7}",
        &long,
    ] {
        let error = Limits::parse(&given(&[folder], &[], &[])).expect_err(folder);
        assert!(matches!(error, LimitError::Folder(_)) && error.to_string().ends_with('.'), "{error}");
    }
    for command in
        ["", "  ", "git status; rm", "a && b", "a|b", "$(x)", "`x`", "a > b", "a\nb", "a\tb", "a\u{2028}b", "\"git\""]
    {
        let error = Limits::parse(&given(&[], &[command], &[])).expect_err(command);
        assert!(matches!(error, LimitError::Command(_)) && error.to_string().ends_with('.'), "{error}");
    }
    let label = format!("{}.org", "x".repeat(MAX_LABEL + 1));
    for host in [
        "",
        "*",
        "*.",
        "https://a.org",
        "a.org:80",
        "a.org/x",
        "a..org",
        "-a.org",
        "bücher.de",
        "*.*.org",
        "*.10.0.0.7",
        "127.1",
        "2130706433",
        "0x7f.1",
        "a.0x7f",
        "[::g]",
        "::1",
        "a b",
        "user@a.org",
        &label,
    ] {
        let error = Limits::parse(&given(&[], &[], &[host])).expect_err(host);
        assert!(matches!(error, LimitError::Host(_)) && error.to_string().ends_with('.'), "{error}");
    }
    let many: Vec<String> = (0..=MAX_ENTRIES).map(|n| format!("/{n}")).collect();
    let many = types::Limits { folders: many, ..types::Limits::default() };
    assert_eq!(Limits::parse(&many), Err(LimitError::TooMany));
}

#[test]
fn a_limit_fits_its_tool() {
    let fits = |tool: &str, limits: &Limits| limits.check_fit(&tool.parse().expect("a tool"));
    let (folder, command, host) = (limits(&["/a"], &[], &[]), limits(&[], &["ls"], &[]), limits(&[], &[], &["a.org"]));
    for (tool, good, bad) in [
        ("read_file", vec![&folder], vec![&command, &host]),
        ("write_file", vec![&folder], vec![&command, &host]),
        ("shell", vec![&folder, &command], vec![&host]),
        ("fetch_url", vec![&host], vec![&folder, &command]),
        ("mcp:a/b", vec![], vec![&folder, &command, &host]),
    ] {
        assert_eq!(fits(tool, &Limits::default()), Ok(()));
        good.into_iter().for_each(|limits| assert_eq!(fits(tool, limits), Ok(()), "{tool}"));
        for limits in bad {
            let error = fits(tool, limits).expect_err(tool);
            assert!(error.to_string().starts_with(tool) && error.to_string().ends_with('.'), "{error}");
        }
    }
}

#[test]
fn both_let_through_what_lies_within_both() {
    let meet =
        |one: &[&str], two: &[&str]| types::Limits::from(&limits(one, &[], &[]).meet(&limits(two, &[], &[]))).folders;
    assert_eq!(meet(&["/a", "/c"], &["/a/b", "/d"]), ["/a/b"]);
    assert_eq!(meet(&["/x/1", "/x/2", "/y"], &["/x", "/y/3"]), ["/x/1", "/x/2", "/y/3"]);
    assert_eq!(meet(&[], &["/a"]), ["/a"], "no list lets everything through");
    assert!(limits(&["/a"], &[], &[]).meet(&limits(&["/ab"], &[], &[])).is_nothing(), "names are compared whole");
    let hosts = |one: &[&str], two: &[&str]| limits(&[], &[], one).meet(&limits(&[], &[], two));
    assert_eq!(hosts(&["*.a.org"], &["b.a.org", "a.org"]), limits(&[], &[], &["b.a.org"]));
    assert_eq!(hosts(&["*.b.a.org"], &["*.a.org"]), limits(&[], &[], &["*.b.a.org"]));
    assert!(hosts(&["*.a.org"], &["nota.org", "a.org"]).is_nothing());
    assert!(limits(&[], &["git"], &[]).meet(&limits(&[], &["gitk"], &[])).is_nothing());
    assert_eq!(limits(&[], &["git"], &[]).meet(&limits(&[], &["git log"], &[])), limits(&[], &["git log"], &[]));
}

proptest! {
    #[test]
    fn the_meet_is_an_intersection(a in any(), b in any(), c in any()) {
        prop_assert_eq!(a.meet(&b), b.meet(&a));
        prop_assert_eq!(a.meet(&b).meet(&c), a.meet(&b.meet(&c)));
        prop_assert_eq!(a.meet(&a), a.clone());
        prop_assert_eq!(a.meet(&b).meet(&b), a.meet(&b));
        prop_assert_eq!(a.meet(&Limits::default()), a);
    }

    #[test]
    fn whatever_is_read_reads_back(folder in "\\PC{0,40}", command in "\\PC{0,40}", host in "\\PC{0,40}") {
        let given = types::Limits { folders: vec![folder], commands: vec![command], hosts: vec![host] };
        for one in [
            types::Limits { folders: given.folders.clone(), ..types::Limits::default() },
            types::Limits { commands: given.commands.clone(), ..types::Limits::default() },
            types::Limits { hosts: given.hosts.clone(), ..types::Limits::default() },
        ] {
            if let Ok(limits) = Limits::parse(&one) {
                prop_assert_eq!(Limits::parse(&types::Limits::from(&limits)), Ok(limits));
            }
        }
    }
}
