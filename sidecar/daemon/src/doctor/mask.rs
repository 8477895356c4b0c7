//! Takes keys, addresses and names out of a text that is to be shown to strangers. Pure.
//!
//! Every recogniser marks what it knows in the original text, the marks that overlap are merged, and each of the merged
//! ones is replaced as a whole. So a device named like an address, or a name that is part of a link, hides nothing from
//! the other recognisers. The same thing gets the same mask everywhere in one report.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// Shortest part of a known id, and shortest run of hexadecimal digits that counts as an unknown one.
const KNOWN_ID: usize = 6;
const UNKNOWN_ID: usize = 10;
/// Shortest run of letters and digits that counts as a secret.
const SECRET: usize = 24;
/// Endings of files that the sentences name; anything else with a dot in it may be the name of a host.
const FILES: [&str; 7] = ["toml", "sqlite", "key", "json", "log", "gguf", "sock"];

/// Masks the texts of one report.
#[derive(Debug, Default)]
pub(super) struct Mask {
    names: Vec<(String, String)>,
    ids: Vec<(String, String)>,
    given: HashMap<String, String>,
    counts: HashMap<&'static str, usize>,
}

/// What a mark stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// Known: this is its mask.
    Fixed(String),
    Id,
    Ip,
    Url,
    Host,
}

#[derive(Clone, Debug)]
struct Mark {
    at: Range<usize>,
    what: What,
}

impl Mask {
    /// A device that may be mentioned. The first one is "Device 1"; one that is added twice keeps its number.
    pub(super) fn device(&mut self, id: &str, name: &str) {
        self.known("Device", id, name);
    }

    /// A network that may be mentioned.
    pub(super) fn network(&mut self, id: &str, name: &str) {
        self.known("Network", id, name);
    }

    /// Something else that may be mentioned, and what is written instead.
    pub(super) fn word(&mut self, word: &str, instead: &str) {
        if !word.trim().is_empty() {
            self.names.push((word.to_owned(), instead.to_owned()));
        }
    }

    fn known(&mut self, kind: &'static str, id: &str, name: &str) {
        let before = self.ids.iter().find(|(known, _)| known == id).map(|(_, label)| label.clone());
        let label = before.unwrap_or_else(|| {
            let label = self.next(kind);
            self.ids.push((id.to_owned(), label.clone()));
            label
        });
        self.word(name, &label);
    }

    fn next(&mut self, kind: &'static str) -> String {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        format!("{kind} {count}")
    }

    /// `text` with everything masked.
    pub(super) fn apply(&mut self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut done = 0;
        for Mark { at, what } in merged(self.marks(text)) {
            masked.push_str(&text[done..at.start]);
            masked.push_str(&self.instead(&what, &text[at.clone()]));
            done = at.end;
        }
        masked.push_str(&text[done..]);
        masked
    }

    fn instead(&mut self, what: &What, text: &str) -> String {
        match what {
            What::Fixed(label) => label.clone(),
            What::Id => self.numbered("id", &text.to_lowercase(), String::new()),
            What::Ip => self.numbered("address", &text.to_lowercase(), ip_form(text)),
            What::Host => self.numbered("host", &text.to_lowercase(), String::new()),
            What::Url => {
                let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
                let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
                let address = authority.rsplit('@').next().unwrap_or_default();
                let (host, port) = match address.rsplit_once(':') {
                    Some((host, port)) if !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit()) => {
                        (host, format!(":{port}"))
                    }
                    _ => (address, String::new()),
                };
                let path = if rest.len() > authority.len() + 1 { "/(path)" } else { "" };
                let bare = host.trim_matches(['[', ']']);
                let is_ip = bare.parse::<Ipv4Addr>().is_ok() || bare.parse::<Ipv6Addr>().is_ok();
                let host = self.instead(if is_ip { &What::Ip } else { &What::Host }, bare);
                format!("{scheme}://{host}{port}{path}")
            }
        }
    }

    fn numbered(&mut self, kind: &'static str, key: &str, form: String) -> String {
        let key = format!("{kind} {key}");
        if let Some(known) = self.given.get(&key) {
            return known.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let label = if form.is_empty() { format!("{kind}-{count}") } else { format!("{form}#{count}") };
        self.given.insert(key, label.clone());
        label
    }

    fn marks(&self, text: &str) -> Vec<Mark> {
        let mut marks = Vec::new();
        let folded: Vec<(char, Range<usize>)> = text
            .char_indices()
            .flat_map(|(at, c)| c.to_lowercase().map(move |low| (low, at..at + c.len_utf8())))
            .collect();
        for (name, label) in &self.names {
            let wanted: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
            let found = occurrences(&folded, &wanted);
            marks.extend(found.into_iter().map(|at| Mark { at, what: What::Fixed(label.clone()) }));
        }
        marks.extend(links(text));
        marks.extend(paths(text));
        for at in runs(text, |c| c.is_ascii_alphanumeric() || "._-:%@".contains(c)) {
            marks.extend(self.token(text, at));
        }
        marks
    }

    /// Looks at one run of characters that ids, addresses and hosts are made of.
    fn token(&self, text: &str, at: Range<usize>) -> Vec<Mark> {
        let mut marks = Vec::new();
        let mark = |part: Range<usize>, what| Mark { at: at.start + part.start..at.start + part.end, what };
        let token = &text[at.clone()];
        for part in runs(token, |c| c.is_ascii_hexdigit()) {
            let alone = |edge: Option<char>| edge.is_none_or(|c| !c.is_ascii_alphanumeric());
            if alone(token[..part.start].chars().next_back()) && alone(token[part.end..].chars().next()) {
                marks.extend(self.id(&token[part.clone()]).map(|what| mark(part, what)));
            }
        }
        for part in runs(token, |c| c.is_ascii_digit() || c == '.') {
            let part = trimmed(token, part, &['.']);
            if token[part.clone()].matches('.').count() >= 3 {
                marks.push(mark(part, What::Ip));
            }
        }
        for part in runs(token, |c| c.is_ascii_alphanumeric() || ":.%".contains(c)) {
            let part = trimmed(token, part, &['.']);
            let ends = [part.clone(), trimmed(token, part, &[':'])];
            let is_ip = |part: &Range<usize>| is_ip6_or_mac(&token[part.clone()]);
            marks.extend(ends.into_iter().find(is_ip).map(|part| mark(part, What::Ip)));
        }
        for part in runs(token, |c| c.is_ascii_alphanumeric() || "._-@".contains(c)) {
            let part = trimmed(token, part, &['.', '-', '_', '@']);
            if is_host(&token[part.clone()]) {
                marks.push(mark(part, What::Host));
            }
        }
        for part in runs(token, |c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
            let secret = &token[part.clone()];
            let mixed =
                secret.contains(|c: char| c.is_ascii_digit()) && secret.contains(|c: char| c.is_ascii_alphabetic());
            if secret.len() >= SECRET && mixed && !secret.bytes().all(|c| c.is_ascii_hexdigit()) {
                marks.push(mark(part, What::Fixed("(secret)".to_owned())));
            }
        }
        marks
    }

    fn id(&self, run: &str) -> Option<What> {
        let lower = run.to_lowercase();
        let known = self.ids.iter().find(|(id, _)| lower.len() >= KNOWN_ID && id.starts_with(&lower));
        if let Some((_, label)) = known {
            return Some(What::Fixed(label.clone()));
        }
        (run.len() >= UNKNOWN_ID && run.contains(|c: char| c.is_ascii_digit())).then_some(What::Id)
    }
}

/// Overlapping marks become one; the longest of them says what it stands for.
fn merged(mut marks: Vec<Mark>) -> Vec<Mark> {
    marks.sort_by_key(|mark| (mark.at.start, std::cmp::Reverse(mark.at.end)));
    let mut merged: Vec<(Mark, usize)> = Vec::new();
    for mark in marks {
        let length = mark.at.len();
        match merged.last_mut() {
            Some((last, longest)) if mark.at.start < last.at.end => {
                last.at.end = last.at.end.max(mark.at.end);
                if length > *longest {
                    (last.what, *longest) = (mark.what, length);
                }
            }
            _ => merged.push((mark, length)),
        }
    }
    merged.into_iter().map(|(mark, _)| mark).collect()
}

/// Where `wanted` stands in `text`, not as a part of a longer word.
fn occurrences(text: &[(char, Range<usize>)], wanted: &[char]) -> Vec<Range<usize>> {
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Vec::new() };
    let mut found = Vec::new();
    for (at, window) in text.windows(wanted.len()).enumerate() {
        let after = at + wanted.len();
        let joined = |inner: &char, outer: Option<&(char, Range<usize>)>| {
            inner.is_alphanumeric() && outer.is_some_and(|(c, _)| c.is_alphanumeric())
        };
        let before = at.checked_sub(1).and_then(|at| text.get(at));
        if window.iter().map(|(c, _)| c).eq(wanted) && !joined(first, before) && !joined(last, text.get(after)) {
            found.push(window[0].1.start..window[wanted.len() - 1].1.end);
        }
    }
    found
}

/// The longest stretches of characters that `fits`.
fn runs(text: &str, fits: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| fits(*c)) {
        match runs.last_mut() {
            Some(last) if last.end == at => last.end = at + c.len_utf8(),
            _ => runs.push(at..at + c.len_utf8()),
        }
    }
    runs
}

fn trimmed(text: &str, part: Range<usize>, edges: &[char]) -> Range<usize> {
    let whole = &text[part.clone()];
    let head = whole.trim_start_matches(edges);
    let start = part.end - head.len();
    start..start + head.trim_end_matches(edges).len()
}

/// Ends a link or a path.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || "\"'<>()[]{},;`".contains(c)
}

/// URLs and invites, from the scheme to the end of the word.
fn links(text: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (colon, _) in text.match_indices("://") {
        let scheme = text[..colon].rfind(|c: char| !(c.is_ascii_alphanumeric() || "+.-".contains(c)));
        let start = scheme.map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
        if start == colon {
            continue;
        }
        // Brackets end a word, but an address of IPv6 stands in them.
        let rest = &text[colon + 3..];
        let inside = if rest.starts_with('[') { rest.find(']').map_or(0, |at| at + 1) } else { 0 };
        let length = rest[inside..].find(ends_word).unwrap_or(rest.len() - inside);
        let at = trimmed(text, start..colon + 3 + inside + length, &['.', ':', '!', '?']);
        let is_invite = text[start..colon].eq_ignore_ascii_case("myownllm");
        let what = if is_invite { What::Fixed("(invite)".to_owned()) } else { What::Url };
        marks.push(Mark { at, what });
    }
    marks
}

/// Absolute paths of two parts or more.
fn paths(text: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (at, c) in text.char_indices() {
        let begins = text[..at].chars().next_back().is_none_or(|before| ends_word(before) || before == '=');
        let rest = &text[at..];
        let drive = c.is_ascii_alphabetic() && rest[1..].starts_with(":\\");
        if !begins || !(c == '/' || drive || rest.starts_with("\\\\")) {
            continue;
        }
        let end = at + rest.find(ends_word).unwrap_or(rest.len());
        let at = trimmed(text, at..end, &['.', ':']);
        let parts = text[at.clone()].split(['/', '\\']).filter(|part| !part.is_empty()).count();
        if parts >= 2 {
            marks.push(Mark { at, what: What::Fixed("(path)".to_owned()) });
        }
    }
    marks
}

fn is_ip6_or_mac(text: &str) -> bool {
    let address = text.split('%').next().unwrap_or_default();
    let mac = || {
        let mut groups = 0;
        let pairs = text.split(':').all(|part| {
            groups += 1;
            part.len() == 2 && part.bytes().all(|c| c.is_ascii_hexdigit())
        });
        pairs && groups == 6
    };
    address.parse::<Ipv6Addr>().is_ok() || mac()
}

/// A name with dots that ends like a host, or anything like a mail address.
fn is_host(text: &str) -> bool {
    let Some((_, last)) = text.rsplit_once('.') else { return text.contains('@') };
    let is_name = last.len() >= 2 && last.bytes().all(|c| c.is_ascii_alphabetic());
    is_name && !FILES.contains(&last.to_ascii_lowercase().as_str()) && !text.contains("..")
}

/// What may be told of an address: which kind of network it belongs to.
fn ip_form(text: &str) -> String {
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        let local = ip.is_private() || ip.is_loopback() || ip.is_link_local();
        return if local { format!("{}.x.x.x", ip.octets()[0]) } else { "x.x.x.x".to_owned() };
    }
    match text.split('%').next().unwrap_or_default().parse::<Ipv6Addr>() {
        Ok(ip) if ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local() => {
            format!("{:x}::x", ip.segments()[0])
        }
        Ok(_) => "x::x".to_owned(),
        Err(_) => "x".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DESK: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const LAP: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
    const HOME: &str = "aaaa56789abcdef00123456789abcdef0123456789abcdef0123456789abcdef";

    fn mask() -> Mask {
        let mut mask = Mask::default();
        mask.device(DESK, "Desk");
        mask.device(LAP, "Ann's Läptop");
        mask.network(HOME, "Home");
        mask
    }

    #[test]
    fn names_ids_and_addresses_are_masked_alike_everywhere() {
        let mut mask = mask();
        for (text, masked) in [
            ("Desk does not answer at 192.168.1.20:5000.", "Device 1 does not answer at 192.x.x.x#1:5000."),
            ("Connected to DESK and Ann's läptop.", "Connected to Device 1 and Device 2."),
            ("Again 192.168.1.20, and 10.0.0.7.", "Again 192.x.x.x#1, and 10.x.x.x#2."),
            ("In Home: 0123456789, fedcba98 and aaaa56789abc.", "In Network 1: Device 1, Device 2 and Network 1."),
            ("Desktop is another word.", "Desktop is another word."),
            ("Key 00ff00ff00ff00ff.", "Key id-1."),
            ("At [fe80::1%eth0]:443 or 2001:db8::5.", "At [fe80::x#3]:443 or x::x#4."),
            ("Seen at 12:34:56 with version 0.1.0 in 1.5 ms.", "Seen at 12:34:56 with version 0.1.0 in 1.5 ms."),
            ("Device aa:bb:cc:dd:ee:ff.", "Device x#5."),
            ("Ask https://u:p@relay.example.org:444/a?token=1.", "Ask https://host-1:444/(path)."),
            ("relay.example.org cannot be found.", "host-1 cannot be found."),
            ("http://127.0.0.1:1473/v1 runs.", "http://127.x.x.x#6:1473/(path) runs."),
            ("http://[::1]:80/ runs.", "http://0::x#7:80 runs."),
            ("Use (myownllm://join/AbC-_9) now.", "Use ((invite)) now."),
            ("Kept as /home/ann/.local/x.sqlite, see config.toml.", "Kept as (path), see config.toml."),
            ("In C:\\Users\\ann\\x now; /v1 stays.", "In (path) now; /v1 stays."),
            ("Key sk-proj-1234567890abcdefghij12 is wrong.", "Key (secret) is wrong."),
            ("Write to ann@example.org.", "Write to host-2."),
        ] {
            assert_eq!(mask.apply(text), masked);
        }
    }

    #[test]
    fn names_that_pretend_hide_nothing() {
        let mut mask = mask();
        mask.device("11", "10.0.0.5");
        mask.device("22", "https");
        mask.device("33", "at 10.0.0");
        mask.device("44", "10.0.0.9 kitchen");
        mask.device("55", "Device 1");
        mask.device("66", "://");
        mask.device("77", "is");
        mask.network("88", "Desk's");
        for (text, hidden) in [
            ("It is at 10.0.0.5:4000.", "0.0.5"),
            ("Look at https://secret.example/x now.", "secret"),
            ("Nobody at 10.0.0.77:80 answers.", "0.0.77"),
            ("10.0.0.9 kitchen is away.", "kitchen"),
            ("Desk's device 1 is away.", "Desk"),
        ] {
            let masked = mask.apply(text);
            assert!(!masked.contains(hidden), "{masked}");
        }
        assert_eq!(mask.apply("Device 1 and Desk differ."), "Device 7 and Device 1 differ.");
    }

    #[test]
    fn odd_texts_pass() {
        let mut mask = mask();
        for text in ["", "://", "a://", "....", ":::", "[", "/", "@", "\u{0}", "İstanbul", "%%%", "\\\\", "1.2.3"] {
            assert_eq!(mask.apply(text).is_empty(), text.is_empty(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_name_address_or_key_survives(
            before in "\\PC{0,20}", after in "\\PC{0,20}", name in "[A-Za-z0-9.: /'-]{1,20}", ip in any::<[u8; 4]>(), key in any::<[u8; 32]>(),
        ) {
            let name = name.trim();
            prop_assume!(!name.is_empty());
            let mut mask = Mask::default();
            let key = data_encoding::HEXLOWER.encode(&key);
            mask.device(&key, name);
            let ip = Ipv4Addr::from(ip).to_string();
            let masked = mask.apply(&format!("{before} {ip} {key} {name} {after}"));
            let (ip, named) = (format!(" {ip} "), format!(" {name} "));
            prop_assert!(!masked.contains(&key));
            prop_assert!(!masked.contains(&ip));
            // A name that the masks themselves are made of may stand in them.
            let of_masks = "device id address host (secret) (path) (invite) network x.x.x.x#0123456789://()";
            let own = name.chars().all(|c| of_masks.contains(c.to_ascii_lowercase()));
            prop_assert!(own || before.contains(name) || after.contains(name) || !masked.contains(&named));
        }
    }
}
