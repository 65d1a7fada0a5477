//! Made-up private data of every kind in many settings, and what looks like it and is not: by rules, and by
//! hand from what other tools get wrong.

use proptest::prelude::*;

use super::{Finder, Kind, Match};

/// The cases of one kind.
struct Cases {
    kind: Kind,
    found: Vec<String>,
    not_found: Vec<String>,
}

/// `SplitMix64`: the same cases in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % below as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.next(from.len())]
    }

    fn string(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..length).map(|_| alphabet[self.next(alphabet.len())]).collect()
    }

    /// A digit for each `#`, another one than 0 and 1 for each `N`.
    fn fill(&mut self, pattern: &str) -> String {
        pattern
            .chars()
            .map(|sign| match sign {
                '#' => self.string(DIGITS, 1),
                'N' => self.string("23456789", 1),
                other => other.to_string(),
            })
            .collect()
    }
}

const DIGITS: &str = "0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ALPHANUMERIC: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const CASES: usize = 240;

/// Where private data stands in text; `{}` is its place.
const SETTINGS: [&str; 12] = [
    "{}",
    "Please write to {} or come by.",
    "Contact: {}.",
    "请联系{}，谢谢",
    "电话/邮箱：{}\n地址：北京市",
    "name,{},42",
    "{\"value\": \"{}\"}",
    "<td>{}</td>",
    "({})",
    "a\t{}\tb",
    "Is it {}?",
    "first line\n{}\nlast line",
];

fn found(kind: Kind, text: &str) -> Vec<&str> {
    let mut matches = Vec::new();
    Finder::new(&Kind::ALL).unwrap().find(text, &mut matches);
    matches.iter().filter(|one| one.kind == kind).map(|one| &text[one.start..one.end]).collect()
}

fn check(cases: &Cases) {
    let Cases { kind, found: positives, not_found } = cases;
    assert!(positives.len() >= 200 && not_found.len() >= 200, "{} {}", positives.len(), not_found.len());
    let (mut missed, mut wrong) = (Vec::new(), Vec::new());
    for (number, value) in positives.iter().enumerate() {
        let text = SETTINGS[number % SETTINGS.len()].replace("{}", value);
        let got = found(*kind, &text);
        if got.iter().filter(|one| *one == value).count() != 1 {
            missed.push(text.clone());
        }
        wrong.extend(got.iter().filter(|one| *one != value).map(|one| format!("{one} in {text}")));
    }
    for (number, value) in not_found.iter().enumerate() {
        let text = SETTINGS[number % SETTINGS.len()].replace("{}", value);
        wrong.extend(found(*kind, &text).iter().map(|one| format!("{one} in {text}")));
    }
    let right = (positives.len() - missed.len()) as f64;
    let recall = right / positives.len() as f64;
    let precision = right / (right + wrong.len() as f64);
    assert!(
        recall >= 0.95 && precision >= 0.99,
        "{}: recall {recall:.3}, precision {precision:.3}\nmissed {missed:#?}\nwrong {wrong:#?}",
        kind.name()
    );
}

fn repeat(mut make: impl FnMut(&mut Random) -> String) -> Vec<String> {
    let mut random = Random(11);
    (0..CASES).map(|_| make(&mut random)).collect()
}

fn by_hand(cases: &[&str]) -> impl Iterator<Item = String> {
    cases.iter().map(|&case| case.to_owned())
}

#[test]
fn emails() {
    let lower = "abcdefghijklmnopqrstuvwxyz";
    let positives = repeat(|random| {
        let joint = random.pick(&[".", "_", "-", "+", ""]);
        let (length, rest) = (1 + random.next(8), 1 + random.next(9));
        let local = format!("{}{joint}{}", random.string(lower, length), random.string(ALPHANUMERIC, rest));
        let host = random.pick(&[
            "gmail.com",
            "qq.com",
            "163.com",
            "mail.uni-bonn.de",
            "x.co.uk",
            "example.org",
            "a1.io",
            "foo.photography",
            "Yahoo.COM",
            "xn--bcher-kva.ch",
        ]);
        format!("{local}@{host}")
    });
    let mut negatives = repeat(|random| {
        let name = random.string(lower, 6);
        let version = random.fill("#.#.##");
        match random.next(12) {
            0 => format!("{name}@{version}"),
            1 => format!("{name}@localhost"),
            2 => format!("@{name}.setter"),
            3 => format!("logo@{}x.{}", random.fill("N"), random.pick(&["png", "jpg", "webp"])),
            4 => format!("git@github.com:{name}/{name}.git"),
            5 => format!("@{name}@mastodon.social"),
            6 => format!("{name} @ {name}.com"),
            7 => format!("{name}@{name}"),
            8 => format!("{name}@.com"),
            9 => format!("{name} (at) {name}.org"),
            10 => format!("A@{name}.T"),
            _ => format!("{name}@10.0.0.{}", random.fill("N")),
        }
    });
    negatives.extend(by_hand(&[
        "@property",
        "@media screen",
        "npm i react@18.2.0",
        "lodash@^4.17.21",
        "user@host",
        "a@b",
        "@",
        "x@y.z",
        "W@x.transpose",
        "foo@bar..com",
        "npm@latest",
        "$@",
        "@@version",
        "me@-bad-.com",
        "icon@2x.png",
        "main@styles.css",
        "root@server:~#",
        "deploy@build01:/srv",
        "5 kg @ 3.50",
        "@angular/core@17.0.1",
        "X@Y.inv(), Z",
    ]));
    check(&Cases { kind: Kind::Email, found: positives, not_found: negatives });
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of cases")]
fn phones() {
    let positives = repeat(|random| {
        let pattern = random.pick(&[
            "+1 NNN NNN ####",
            "+1-NNN-NNN-####",
            "+1 (NNN) NNN-####",
            "(NNN) NNN-####",
            "NNN-NNN-####",
            "1-NNN-NNN-####",
            "+44 20 N### ####",
            "+44 (0)20 N### ####",
            "+49 30 N#######",
            "+49 (0) 151 N#######",
            "+33 N ## ## ## ##",
            "+81 90-N###-####",
            "+82-10-N###-####",
            "+91 98### #####",
            "+852 N### ####",
            "+886 9## ### ###",
            "+65 9### ####",
            "+7 495 N##-##-##",
            "+61 4## ### ###",
            "+55 11 9####-####",
            "0044 20 N### ####",
            "+14155NN####",
            "+861380###N###",
            "+86 138 #### N###",
            "+86-10-N#######",
            "138########",
            "159-####-####",
            "186 #### ####",
            "199########",
            "86-135########",
            "0086 137########",
            "010-6#######",
            "0755-8#######",
            "021-5### ####",
            "(010)6#######",
            "（0571）8#######",
            "0371-6######",
        ]);
        random.fill(pattern)
    });
    let mut negatives = repeat(|random| {
        let pattern = random.pick(&[
            "2024-##-0N",
            "2024-01-1# 12:3#:4#",
            "20240115123###",
            "978-7-###-#####-N",
            "ISBN 978N########",
            "订单号：138########",
            "订单编号 159########",
            "QQ：138########",
            "order no. 136########",
            "id=138########",
            "15########",
            "1700######",
            "1700######000",
            "19########",
            "###-##-####",
            "0.138########",
            "138########.5",
            "12#########",
            "a138########",
            "138########b",
            "138#########",
            "$138########",
            "192.168.#.N",
            "+12.345N## -98.7N#",
            "3+138########",
            "x+8613########N",
            "#### #### ####",
            "v1.2.34567890#",
            "0xN#########",
            "SKU 159########",
            "1,38#,###,###",
            "+1 000 000 0000",
            "+123",
            "+999",
            "+ 100 points",
            "/item/138########.html",
            "#138########",
            "100-200-3000",
            "fig. 123-456-789",
            "550e8400-e29b-41d4-a716-44665544####",
            "12-34-56-78",
            "10.1000/182########",
        ]);
        random.fill(pattern)
    });
    negatives.extend(by_hand(&[
        "17179869184",
        "3.14159265358979",
        "2^34 = 17179869184",
        "1,000,000,000",
        "1234567890",
        "0123456789",
        "1991-2024",
        "1999-12-31 23:59:59",
        "2024/01/15 10:30",
        "(2019) 123-456",
        "127.0.0.1:8080",
        "1e10",
        "pages 123-456-7890123",
        "0000000000",
        "99999999999",
        "+0.5 and +12.75",
        "C++11 2011",
        "+1",
        "A+ 4.0",
        "UTC+08:00",
        "2024-01-15T10:30:00+08:00",
        "+40.7128 -74.0060",
        "+4294967296",
        "+281474976710656",
        "GPS: +31.2304, +121.4737",
        "ISSN 1000-1234",
    ]));
    check(&Cases { kind: Kind::Phone, found: positives, not_found: negatives });
}

#[test]
fn addresses() {
    let octet = |random: &mut Random| random.next(256);
    let positives = repeat(|random| match random.next(8) {
        0..=3 => {
            let first = random.pick(&["8", "23", "52", "66", "91", "114", "139", "151", "185", "203", "217"]);
            format!("{first}.{}.{}.{}", octet(random).clamp(3, 250), octet(random), octet(random))
        }
        4 => random.pick(&["8.8.8.8", "1.1.1.1", "114.114.114.114", "223.5.5.5", "9.9.9.9"]).to_owned(),
        5 => format!(
            "2a02:{}:{}::{}",
            random.string("123456789abcdef", 4),
            random.string("123456789abcdef", 3),
            random.string("123456789abcdef", 2)
        ),
        6 => format!("2001:4860:4860:0:0:0:0:{}", random.string("123456789abcdef", 4)),
        _ => {
            format!("240e:{}::{}:1", random.string("123456789abcdef", 3), random.string("123456789abcdef", 4))
        }
    });
    let mut negatives = repeat(|random| {
        let pattern = random.pick(&[
            "10.#.##.N",
            "172.16.#.N",
            "172.31.#.1##",
            "192.168.#.1##",
            "192.0.2.N",
            "198.51.100.N",
            "203.0.113.1##",
            "127.0.0.N",
            "169.254.N#.1##",
            "224.0.0.N",
            "239.1.2.N",
            "255.255.255.N",
            "0.0.0.0",
            "100.64.#.N",
            "198.18.#.N",
            "240.1.2.N",
            "fe80::1ff:fe23:4567:N##a",
            "fd12:3456:789a:1::N",
            "fc00::N",
            "ff02::N",
            "2001:db8::N#",
            "2001:0db8:85a3::8a2e:370:73##",
            "3fff:#::1",
            "::1",
            "::",
            "::ffff:192.168.1.N",
            "version 2.N.#.1",
            "v3.N.#.4",
            "Section 4.N.#.1",
            "1.2.N.4.5",
            "1.3.6.1.4.1.N###",
            "256.1.N.4",
            "1.2.3.N##.5",
            "12:3#:5#",
            "00:1a:2b:3c:4d:N#",
            "std::N",
            "list[1::2]",
            "a[::N]",
            "dead::beef",
            "1.2.3",
            "8.8.8",
            "08.8.8.8",
            "1.2.3.4-beta",
            "release: 5.N.#.2",
            "8.8.8.8.in-addr.arpa",
            "x8.8.4.4",
        ]);
        random.fill(pattern)
    });
    negatives.extend(by_hand(&[
        "localhost",
        "version 10.0.19041.1",
        "Firmware 1.2.3.4",
        "Browser/2.0.0.11",
        "novas==3.1.1.3",
        "__version__ = \"1.2.3.4\"",
        "§ 1.2.3.4",
        "abc::def::ghi",
        "use std::net::Ipv6Addr;",
        "\n2.1.3.4 Methods",
        "10:20:30:40:50:60:70:80:90",
        "::ffff:10.0.0.1",
        "1...2",
        "999.999.999.999",
        "2024:01:15 10:30:00",
        "12.5.2024.1a",
        "64:ff9b::1",
        "face::",
        "http://[::1]:8080/",
    ]));
    check(&Cases { kind: Kind::Ip, found: positives, not_found: negatives });
}

/// Digits with the check digit of Luhn, `wrong` added to it.
fn card(random: &mut Random, prefix: &str, length: usize, wrong: u32) -> String {
    let mut digits: String = format!("{prefix}{}", random.string(DIGITS, length - prefix.len() - 1));
    let sum: u32 = (digits.bytes().rev().enumerate())
        .map(|(place, digit)| {
            let doubled = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
            doubled / 10 + doubled % 10
        })
        .sum();
    digits.push(char::from_digit((10 - sum % 10 + wrong) % 10, 10).unwrap());
    digits
}

/// Groups of a string, joined.
fn grouped(digits: &str, lengths: &[usize], joint: &str) -> String {
    let mut rest = digits;
    let mut groups = Vec::new();
    for &length in lengths {
        let (group, after) = rest.split_at(length);
        groups.push(group);
        rest = after;
    }
    groups.join(joint)
}

#[test]
fn credit_cards() {
    let issuers = [
        ("4", 16),
        ("51", 16),
        ("55", 16),
        ("2221", 16),
        ("34", 15),
        ("37", 15),
        ("6011", 16),
        ("65", 16),
        ("3528", 16),
        ("36", 14),
        ("62", 16),
        ("62", 19),
    ];
    let written = |random: &mut Random, digits: &str| match (digits.len(), random.next(3)) {
        (16, 1) => grouped(digits, &[4, 4, 4, 4], " "),
        (16, 2) => grouped(digits, &[4, 4, 4, 4], "-"),
        (15, 1) => grouped(digits, &[4, 6, 5], " "),
        (14, 1) => grouped(digits, &[4, 6, 4], " "),
        (19, 1) => grouped(digits, &[4, 4, 4, 4, 3], " "),
        _ => digits.to_owned(),
    };
    let mut positives = repeat(|random| {
        let (prefix, length) = issuers[random.next(issuers.len())];
        let digits = card(random, prefix, length, 0);
        written(random, &digits)
    });
    // The number of everybody's first try.
    positives.extend(by_hand(&["4111111111111111", "4111 1111 1111 1111"]));
    let mut negatives = repeat(|random| {
        let (prefix, length) = issuers[random.next(issuers.len())];
        match random.next(8) {
            0..=2 => {
                let wrong = 1 + random.next(9) as u32;
                let digits = card(random, prefix, length, wrong);
                written(random, &digits)
            }
            3 => card(random, "9", 16, 0),
            4 => format!("0.{}", card(random, "4", 16, 0)),
            5 => format!("id_{}", card(random, "4", 16, 0)),
            6 => format!("{}.{}", card(random, "4", 16, 0), random.fill("##")),
            _ => grouped(&card(random, "4", 16, 0), &[2, 2, 2, 2, 2, 2, 2, 2], " "),
        }
    });
    negatives.extend(by_hand(&[
        "0000000000000000",
        "4444444444444448",
        "1234567812345678",
        "ISBN 9787302511656",
        "1700000000000",
        "978-3-16-148410-0",
        "IMEI 490154203237518",
        "3.1415926535897932",
        "20240115103000123",
        "2147483647",
        "18446744073709551615",
    ]));
    check(&Cases { kind: Kind::CreditCard, found: positives, not_found: negatives });
}

/// An IBAN with its check digits, `wrong` added to them.
fn iban(random: &mut Random, country: &str, pattern: &str, wrong: u32) -> String {
    let body: String = pattern
        .chars()
        .map(|sign| if sign == 'A' { random.string(UPPER, 1) } else { random.string(DIGITS, 1) })
        .collect();
    let remainder = format!("{body}{country}00").bytes().fold(0_u32, |sum, byte| match byte {
        b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
        _ => (sum * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    format!("{country}{:02}{body}", (98 - remainder + wrong - 2) % 97 + 2)
}

#[test]
fn ibans() {
    let countries = [
        ("DE", "##################"),
        ("GB", "AAAA##############"),
        ("FR", "###################A###"),
        ("NL", "AAAA##########"),
        ("ES", "####################"),
        ("IT", "A######################"),
        ("CH", "#################"),
        ("SA", "####################"),
        ("NO", "###########"),
        ("MT", "AAAA#######################"),
    ];
    let spaced = |iban: &str| {
        let groups: Vec<&str> =
            (0..iban.len()).step_by(4).map(|at| &iban[at..iban.len().min(at + 4)]).collect();
        groups.join(" ")
    };
    let positives = repeat(|random| {
        let (country, pattern) = countries[random.next(countries.len())];
        let iban = iban(random, country, pattern, 0);
        if random.next(2) == 0 { spaced(&iban) } else { iban }
    });
    let mut negatives = repeat(|random| {
        let (country, pattern) = countries[random.next(countries.len())];
        let right = iban(random, country, pattern, 0);
        match random.next(5) {
            0 => {
                let wrong = 1 + random.next(95) as u32;
                iban(random, country, pattern, wrong)
            }
            1 => spaced(&right)[..right.len()].to_owned(),
            2 => format!("X{right}"),
            3 => format!("{right}{}", random.string(UPPER, 1)),
            _ => right.replace(country, "ZZ"),
        }
    });
    negatives.extend(by_hand(&[
        "DE89",
        "GB33 BUKB",
        "FR1420041010050500013M0260",
        "DE00370400440532013000",
        "NO2024",
    ]));
    check(&Cases { kind: Kind::Iban, found: positives, not_found: negatives });
}

/// A resident identity number with its check character, `wrong` added to it.
fn resident_id(random: &mut Random, area: &str, date: &str, wrong: usize) -> String {
    let body = format!("{area}{date}{}", random.string(DIGITS, 3));
    // The weights are powers of two modulo 11.
    let sum: usize =
        body.bytes().enumerate().map(|(at, digit)| usize::from(digit - b'0') * ((1 << (17 - at)) % 11)).sum();
    let check = (12 - sum % 11 + wrong) % 11;
    format!("{body}{}", if check == 10 { "X".to_owned() } else { check.to_string() })
}

#[test]
fn resident_ids() {
    let area = |random: &mut Random| {
        let province = random.pick(&["11", "31", "33", "44", "51", "65"]);
        format!("{province}{}", random.fill("01##"))
    };
    let date = |random: &mut Random| {
        format!("{}{:02}{:02}", 1940 + random.next(80), 1 + random.next(12), 1 + random.next(28))
    };
    let positives = repeat(|random| {
        let (area, date) = (area(random), date(random));
        resident_id(random, &area, &date, 0)
    });
    let mut negatives = repeat(|random| {
        let (area, date) = (area(random), date(random));
        match random.next(6) {
            0 | 1 => {
                let wrong = 1 + random.next(10);
                resident_id(random, &area, &date, wrong)
            }
            2 => resident_id(random, "990101", &date, 0),
            3 => resident_id(random, &area, "19901332", 0),
            4 => format!("{}{}", resident_id(random, &area, &date, 0), random.fill("#")),
            _ => format!("A{}", resident_id(random, &area, &date, 0)),
        }
    });
    negatives.extend(by_hand(&[
        "110101199002300017",
        "123456789012345678",
        "000000000000000000",
        "110101900307001",
    ]));
    check(&Cases { kind: Kind::ResidentId, found: positives, not_found: negatives });
}

#[test]
fn api_keys() {
    let hex = "0123456789abcdef";
    let positives = repeat(|random| {
        // A digit for certain: chance alone leaves one out now and then.
        let mut body = |length: usize| {
            format!("{}7{}", random.string(ALPHANUMERIC, 4), random.string(ALPHANUMERIC, length - 5))
        };
        let bodies = [body(36), body(40), body(35), body(24), body(48)];
        match random.next(14) {
            0 => format!("AKIA{}2", random.string(UPPER, 15)),
            1 => format!("ghp_{}", bodies[0]),
            2 => {
                format!("github_pat_{}_{}", random.string(ALPHANUMERIC, 22), random.string(ALPHANUMERIC, 59))
            }
            3 => format!("glpat-{}", &bodies[0][..20]),
            4 => format!("xoxb-{}-{}", random.fill("############"), bodies[3]),
            5 => format!("sk_live_{}", bodies[3]),
            6 => format!("AIza{}", bodies[2]),
            7 => format!("sk-{}", bodies[4]),
            8 => format!("sk-proj-{}", bodies[4]),
            9 => format!("hf_{}", &bodies[0][..34]),
            10 => format!("npm_{}", bodies[0]),
            11 => format!("SG.{}.{}", &bodies[0][..22], &format!("{}{}", bodies[0], bodies[1])[..43]),
            12 => format!("eyJ{}.eyJ{}.{}", bodies[0], bodies[1], bodies[4]),
            _ => format!("dop_v1_{}", random.string(hex, 64)),
        }
    });
    let mut negatives = repeat(|random| match random.next(13) {
        0 => format!("AKIA{}", random.string(UPPER, 8)),
        1 => format!("ghp_{}", "x".repeat(36)),
        2 => random.string(hex, 40),
        3 => format!("sha256:{}", random.string(hex, 64)),
        4 => format!("sk-{}", random.string("abcdefgh", 10)),
        5 => "sk_live_YOUR_KEY_HERE".to_owned(),
        6 => format!(
            "{}-{}-4{}-a{}-{}",
            random.string(hex, 8),
            random.string(hex, 4),
            random.string(hex, 3),
            random.string(hex, 3),
            random.string(hex, 12)
        ),
        7 => format!("AIza{}", random.string(ALPHANUMERIC, 12)),
        8 => format!("pk_live_{}", random.string(ALPHANUMERIC, 24)),
        9 => format!("hf_{}", random.pick(&["transformers", "hub_download", "model_path", "token"])),
        10 => format!("npm_{}", random.pick(&["config_registry", "lifecycle_event", "package_version"])),
        11 => format!("{}AKIA{}", random.string(UPPER, 3), random.string(UPPER, 16)),
        _ => format!("data:image/png;base64,{}", random.string(ALPHANUMERIC, 60)),
    });
    negatives.extend(by_hand(&[
        "risk-free",
        "task-based-learning-of-long-hyphenated-words-in-english",
        "eyJ.eyJ.x",
        "xoxb-your-token",
        "SG.",
        "ask-me-anything-about-it-2024-edition-no-1",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "aws_secret_access_key = ...",
        "SKIRT",
        "AKIDO",
        "LTAI",
        "disk-0123456789",
    ]));
    check(&Cases { kind: Kind::ApiKey, found: positives, not_found: negatives });
    let secret = format!("aws_secret_access_key = \"{}\"", "wJalrXUtnFEMI7K7MDENG1bPxRfiCYzzQw8rTy+/");
    assert_eq!(found(Kind::ApiKey, &secret), ["wJalrXUtnFEMI7K7MDENG1bPxRfiCYzzQw8rTy+/"]);
}

#[test]
fn private_keys() {
    let base64 = format!("{ALPHANUMERIC}+/");
    let labels = [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ];
    let armour = |random: &mut Random, label: &str, newline: &str| {
        let lines: Vec<String> = (0..3 + random.next(20)).map(|_| random.string(&base64, 64)).collect();
        format!("-----BEGIN {label}-----{newline}{}{newline}-----END {label}-----", lines.join(newline))
    };
    let positives = repeat(|random| {
        let (label, newline) = (random.pick(&labels), random.pick(&["\n", "\r\n", "\\n", "\n"]));
        armour(random, label, newline)
    });
    let mut negatives = repeat(|random| {
        let label = random.pick(&[
            "PUBLIC KEY",
            "CERTIFICATE",
            "RSA PUBLIC KEY",
            "PGP PUBLIC KEY BLOCK",
            "PGP SIGNATURE",
            "DH PARAMETERS",
        ]);
        match random.next(4) {
            0 | 1 => armour(random, label, "\n"),
            2 => format!(
                "The file starts with -----BEGIN {}----- and ends with -----END",
                random.pick(&labels)
            ),
            _ => format!("if line == \"-----BEGIN {}-----\": return True", random.pick(&labels)),
        }
    });
    negatives.extend(by_hand(&[
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "-----BEGIN ",
        "PRIVATE KEY",
        "---BEGIN PRIVATE KEY---",
    ]));
    check(&Cases { kind: Kind::PrivateKey, found: positives, not_found: negatives });
}

fn all(kinds: &[Kind], text: &str) -> Vec<Match> {
    let mut matches = Vec::new();
    Finder::new(kinds).unwrap().find(text, &mut matches);
    matches
}

#[test]
fn what_overlaps_is_found_once() {
    let kinds = |text: &str| all(&Kind::ALL, text).iter().map(|one| one.kind).collect::<Vec<_>>();
    assert_eq!(kinds("13800138000@qq.com"), [Kind::Email]);
    assert_eq!(kinds("2001:4860:4860::8888 and 8.8.4.4"), [Kind::Ip, Kind::Ip]);
    assert_eq!(kinds("GB82 WEST 1234 5698 7654 32"), [Kind::Iban]);
    assert_eq!(kinds("a@x.org,+86 138 0013 8000;b@y.org"), [Kind::Email, Kind::Phone, Kind::Email]);
    assert_eq!(
        kinds("xoxb-123456789012-1234567890123-AbCdEf7hIjKlMnOpQrStUvWx a@x.org"),
        [Kind::ApiKey, Kind::Email]
    );
}

#[test]
fn only_the_chosen_kinds_are_found() {
    let text = "a@x.org 8.8.8.8 +1 415 555 2671 ghp_abcdefghij0123456789ABCDEFGHIJ012345";
    for kind in [Kind::Email, Kind::Ip, Kind::Phone, Kind::ApiKey] {
        assert_eq!(all(&[kind], text).iter().map(|one| one.kind).collect::<Vec<_>>(), [kind]);
    }
    assert!(all(&[Kind::Iban], text).is_empty());
}

proptest! {
    #[test]
    fn matches_are_in_order_and_lie_on_characters(text in "([0-9]{1,20}|[+() .@:/-]|[a-zA-Z]{1,3}|sk-|AKIA|eyJ|DE|-----BEGIN |PRIVATE KEY-----|中|（|）|＋|é){0,40}") {
        let mut end = 0;
        for one in all(&Kind::ALL, &text) {
            prop_assert!(end <= one.start && one.start < one.end);
            prop_assert!(text.get(one.start..one.end).is_some());
            end = one.end;
        }
    }
}
