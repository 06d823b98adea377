use super::*;

fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short").to_be_bytes();
    [&SIGNATURE_V2[..], &[0x20 | command, family], &length, payload].concat()
}

const FOUR: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x01, 0xbb];

fn addresses(bytes: &[u8]) -> Option<(String, String, bool)> {
    let header = parse(bytes).expect("a header").expect("whole");
    assert_eq!(header.length, bytes.len());
    header.addresses.map(|Addresses { source, destination, is_tls }| {
        (source.to_string(), destination.to_string(), is_tls)
    })
}

#[test]
fn the_headers_of_the_document() {
    let four = Some(("192.0.2.1:12345".to_owned(), "198.51.100.2:443".to_owned(), false));
    let six = Some(("[2001:db8::1]:12345".to_owned(), "[2001:db8::2]:443".to_owned(), false));
    assert_eq!(addresses(b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n"), four);
    assert_eq!(addresses(b"PROXY TCP6 2001:db8::1 2001:db8::2 12345 443\r\n"), six);
    assert_eq!(addresses(b"PROXY UNKNOWN\r\n"), None);
    assert_eq!(addresses(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), None);
    assert_eq!(addresses(&v2(1, 0x11, FOUR)), four);
    let mut sixteen = [0x20, 0x01, 0x0d, 0xb8].repeat(8);
    sixteen[4..16].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    sixteen[20..32].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    sixteen.extend_from_slice(&FOUR[8..]);
    assert_eq!(addresses(&v2(1, 0x21, &sixteen)), six);
    assert_eq!(addresses(&v2(0, 0x00, b"")), None, "LOCAL");
    assert_eq!(addresses(&v2(0, 0x11, FOUR)), None, "LOCAL, whatever else it says");
    assert_eq!(addresses(&v2(1, 0x00, b"")), None, "UNSPEC");
    assert_eq!(addresses(&v2(1, 0x31, &[0; 216])), None, "a UNIX socket");
}

#[test]
fn extensions_are_skipped_but_for_the_word_on_tls() {
    let with = |extensions: &[u8]| v2(1, 0x11, &[FOUR, extensions].concat());
    let is_tls = |extensions: &[u8]| addresses(&with(extensions)).map(|(_, _, is_tls)| is_tls);
    assert_eq!(is_tls(&[0x01, 0, 2, b'h', b'2', 0x04, 0, 0]), Some(false));
    assert_eq!(is_tls(&[0x04, 0, 1, 0, 0x20, 0, 5, 0x01, 0, 0, 0, 0]), Some(true));
    assert_eq!(is_tls(&[0x20, 0, 5, 0x02, 0, 0, 0, 1]), Some(false));
    assert_eq!(is_tls(&[0x20, 0, 0]), Some(false), "an empty one says nothing");
    for cut in [&[0x01][..], &[0x01, 0], &[0x01, 0, 2, b'h'], &[0x01, 0xff, 0xff]] {
        assert_eq!(parse(&with(cut)), Err(NoHeader), "{cut:?}");
    }
}

#[test]
fn what_breaks_the_rules_is_no_header() {
    for bad in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x03\x01",
        b"proxy TCP4",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 12345\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443 1\r\n",
        b"PROXY TCP4  192.0.2.1 198.51.100.2 12345 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 01 443\r\n",
        b"PROXY TCP4 192.0.2.256 198.51.100.2 1 443\r\n",
        b"PROXY TCP4 2001:db8::1 198.51.100.2 1 443\r\n",
        b"PROXY TCP6 192.0.2.1 198.51.100.2 1 443\r\n",
        b"PROXY UDP4 192.0.2.1 198.51.100.2 1 443\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4 \xff 198.51.100.2 1 443\r\n",
        &[b"PROXY UNKNOWN ", &[b'a'; 200][..]].concat(),
        &v2(2, 0x11, FOUR),
        &v2(1, 0x41, FOUR),
        &v2(1, 0x13, FOUR),
        &v2(1, 0x12, FOUR),
        &v2(1, 0x11, &FOUR[1..]),
        &[&SIGNATURE_V2[..], &[0x11, 0x11, 0, 12], FOUR].concat(),
        &[&SIGNATURE_V2[..], &[0x21, 0x11, 0xff, 0xff]].concat(),
    ] {
        assert_eq!(parse(bad), Err(NoHeader), "{:?}", String::from_utf8_lossy(bad));
    }
}

#[test]
fn every_part_of_a_header_wants_more() {
    for whole in
        [b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n".to_vec(), v2(1, 0x11, FOUR), v2(0, 0, b"")]
    {
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), Ok(None), "{length} of {whole:?}");
        }
        let more = [&whole[..], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(parse(&more).expect("a header").map(|header| header.length), Some(whole.len()));
    }
}
