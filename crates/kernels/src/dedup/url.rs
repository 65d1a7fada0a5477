//! URLs as they are compared: two that RFC 3986 calls equivalent become the same bytes.
//!
//! Done, of sections 6.2.2 and 6.2.3: scheme and host in lower case, percent-encoded octets in upper case or,
//! where they stand for an unreserved character, decoded; dot segments removed; the default port and an empty
//! path's missing slash. Besides: `http` and `https` are one, and fragments go, since servers never see them.
//! Query strings stay as they are: what their parameters mean, and whether order counts, only the server
//! knows. What has no `http` or `https` scheme only loses the white space around it.

/// The URL as it is compared, written to `out`, which is cleared first.
pub fn normalize_url(url: &str, out: &mut String) {
    out.clear();
    let url = url.trim();
    let rest = ["https://", "http://"].into_iter().find_map(|scheme| {
        let (start, rest) = url.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some((rest, &scheme[..scheme.len() - 3]))
    });
    let Some((rest, scheme)) = rest else {
        out.push_str(url);
        return;
    };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    out.push_str("https://");
    let (user, host) = authority
        .rsplit_once('@')
        .map_or(("", authority), |_| authority.split_at(authority.rfind('@').unwrap_or(0) + 1));
    out.push_str(user);
    let port = if scheme == "https" { ":443" } else { ":80" };
    let mut host = host;
    while let Some(shorter) = host.strip_suffix(port).or_else(|| host.strip_suffix(':')) {
        host = shorter;
    }
    out.extend(host.chars().flat_map(char::to_lowercase));
    let root = out.len();
    push_path(path, root, out);
    push_decoded(query, out);
}

/// Appends a path without its dot segments (RFC 3986, section 5.2.4); `root` is where it starts.
fn push_path(path: &str, root: usize, out: &mut String) {
    let mut decoded = String::with_capacity(path.len());
    push_decoded(path, &mut decoded);
    let mut segments = decoded.strip_prefix('/').unwrap_or(&decoded).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => out.truncate(out[root..].rfind('/').map_or(root, |at| root + at)),
            _ => {
                out.push('/');
                out.push_str(segment);
                continue;
            }
        }
        if last {
            out.push('/');
        }
    }
}

/// Appends text with its percent-encoded octets in normal form.
fn push_decoded(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
            }
            Some(byte) => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
            None => {
                out.push('%');
                rest = &rest[at + 1..];
                continue;
            }
        }
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normal(url: &str) -> String {
        let mut out = String::new();
        normalize_url(url, &mut out);
        out
    }

    #[test]
    fn equivalent_urls_are_equal() {
        let check = |url, expected| assert_eq!(normal(url), expected, "{url}");
        check("HTTP://Example.COM", "https://example.com/");
        check("https://example.com:443/a#part", "https://example.com/a");
        check("http://example.com:80", "https://example.com/");
        check("http://example.com:443/", "https://example.com:443/");
        check("http://::#", "https:///");
        check("https://example.com/%7euser/%c3%a9%2f", "https://example.com/~user/%C3%A9%2F");
        check("https://example.com/a/./b/../c/..", "https://example.com/a/");
        check("https://example.com/../..", "https://example.com/");
        check("https://Me@Example.com/?Q=A&b#x", "https://Me@example.com/?Q=A&b");
        check("https://example.com?q", "https://example.com/?q");
        check(" mailto:A@b.c ", "mailto:A@b.c");
        check("https://example.com/%+1", "https://example.com/%+1");
        check("https://example.com/100%", "https://example.com/100%");
        check("https://example.com/a//b/", "https://example.com/a//b/");
    }

    proptest! {
        #[test]
        fn a_normal_url_stays(url in "(https://)?([a-zA-Zé.:@/?#0-9+-]|%[0-9a-fA-F]{2}){0,40}") {
            let once = normal(&url);
            prop_assert_eq!(normal(&once), once);
        }
    }
}
