//! Modified UTF-7, the encoding of folder names (RFC 3501, section 5.1.3; RFC 9051, appendix A.1).

use base64::{
    Engine,
    alphabet::IMAP_MUTF7,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Base64 with `,` for `/` and without padding. Trailing bits are let pass: the round trip decides what is valid.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Encodes a folder name.
pub fn encode(name: &str) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(name.len());
    let mut shifted = Vec::new();
    for character in name.chars() {
        if matches!(character, ' '..='~') {
            unshift(&mut encoded, &mut shifted);
            // Every character here is one ASCII byte.
            encoded.extend(u8::try_from(character));
            if character == '&' {
                encoded.push(b'-');
            }
        } else {
            let mut units = [0; 2];
            shifted.extend(
                character
                    .encode_utf16(&mut units)
                    .iter()
                    .flat_map(|unit| unit.to_be_bytes()),
            );
        }
    }
    unshift(&mut encoded, &mut shifted);
    encoded
}

fn unshift(encoded: &mut Vec<u8>, shifted: &mut Vec<u8>) {
    if !shifted.is_empty() {
        encoded.push(b'&');
        encoded.extend(BASE64.encode(&*shifted).bytes());
        encoded.push(b'-');
        shifted.clear();
    }
}

/// Decodes a folder name strictly; `None` when the bytes are not modified UTF-7.
pub fn decode_strict(raw: &[u8]) -> Option<String> {
    let mut decoded = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'&' => {
                let end = rest.iter().position(|&byte| byte == b'-')?;
                let (base64, after) = rest.split_at_checked(end)?;
                rest = after.get(1..)?;
                if base64.is_empty() {
                    decoded.push('&');
                } else {
                    decoded.push_str(&decode_base64(base64)?);
                }
            }
            b' '..=b'~' => decoded.push(char::from(byte)),
            _ => return None,
        }
    }
    Some(decoded)
}

fn decode_base64(base64: &[u8]) -> Option<String> {
    let bytes = BASE64.decode(base64).ok()?;
    let (pairs, odd) = bytes.as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    String::from_utf16(&units).ok()
}

/// Decodes a folder name for people: what is not modified UTF-7 is read as UTF-8, as some servers send it. Never fails,
/// so keep the server's own bytes for talking to the server.
pub fn decode(raw: &[u8]) -> String {
    decode_strict(raw).unwrap_or_else(|| String::from_utf8_lossy(raw).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_names() {
        for (name, raw) in [
            ("INBOX", "INBOX"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("R&D", "R&-D"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Отправленные", "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-"),
            ("📁", "&2D3cwQ-"),
            ("a\tb", "a&AAk-b"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8(encode(name)).unwrap(), raw, "{name}");
            assert_eq!(decode(raw.as_bytes()), name, "{raw}");
        }
    }

    #[test]
    fn what_is_not_modified_utf7_is_kept_as_text() {
        for raw in ["&", "a&b", "&AP", "&2D0-", "&A-", "&A/8-"] {
            assert_eq!(decode_strict(raw.as_bytes()), None, "{raw}");
            assert_eq!(decode(raw.as_bytes()), raw);
        }
        assert_eq!(decode("Entwürfe".as_bytes()), "Entwürfe");
        assert_eq!(decode(b"\xff"), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in any::<String>()) {
            let raw = encode(&name);
            prop_assert!(raw.iter().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(decode_strict(&raw), Some(name));
        }

        #[test]
        fn any_bytes_can_be_decoded(raw in any::<Vec<u8>>()) {
            decode(&raw);
        }
    }
}
