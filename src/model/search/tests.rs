//! Tests of the words and of the queries.

use proptest::prelude::*;

use super::*;

#[test]
fn words_of_many_scripts() {
    for (text, expected) in [
        ("Hello,  WORLD!", "hello world"),
        ("Café Zürich Ångström", "cafe zurich angstrom"),
        ("cafe\u{301}", "cafe"),
        ("ﬁne ①② Ｆｕｌｌ", "fine 12 full"),
        ("ada@example.com e-mail 3.14", "ada example com e mail 3 14"),
        ("東京2020 タワー", "東 京 2020 タ ワ ー"),
        ("がぎ か\u{3099} ｶﾞ", "が ぎ が ガ"),
        ("안녕 하세요", "안 녕 하 세 요"),
        ("ΟΔΟΣ οδός", "οδοσ οδοσ"),
        ("İstanbul Straße", "istanbul straße"),
        ("हिन्दी", "हिन्दी"),
        ("العَرَبِيَّة", "العربية"),
        ("nul\0 --- \"quoted\" <b>", "nul quoted b"),
        ("", ""),
    ] {
        assert_eq!(words(text), expected, "{text}");
    }
}

#[test]
fn words_and_their_sum_are_bounded() {
    assert_eq!(words(&"x".repeat(1_000)).len(), MAX_WORD_CHARS);
    for text in ["ab ", "東", "é", "ﷺ", "\u{1f600}a"] {
        let out = words(&text.repeat(200_000));
        assert!(
            out.len() <= MAX_WORDS && !out.is_empty() && !out.ends_with(' '),
            "{text}"
        );
    }
}

#[test]
fn queries_as_both_databases_write_them() {
    for (query, fts5, tsquery) in [
        ("Hello world", "\"hello\" AND \"world\"", "'hello' & 'world'"),
        (
            "\"big Red\" bus",
            "\"big red\" AND \"bus\"",
            "'big' <-> 'red' & 'bus'",
        ),
        ("inv*", "\"inv\" *", "'inv':*"),
        (
            "\"open inv\"* x",
            "\"open inv\" * AND \"x\"",
            "'open' <-> 'inv':* & 'x'",
        ),
        ("e-mail", "\"e mail\"", "'e' <-> 'mail'"),
        ("東京", "\"東 京\"", "'東' <-> '京'"),
        (
            "not \"closed here",
            "\"not\" AND \"closed here\"",
            "'not' & 'closed' <-> 'here'",
        ),
        (
            "a' | !b:* -- ) OR NEAR",
            "\"a\" AND \"b\" * AND \"or\" AND \"near\"",
            "'a' & 'b':* & 'or' & 'near'",
        ),
    ] {
        let parsed = Query::parse(query).unwrap();
        assert_eq!(parsed.fts5(None), fts5, "{query}");
        assert_eq!(parsed.tsquery(None), tsquery, "{query}");
    }
    let weighed = Query::parse("\"a b\"* c").unwrap();
    assert_eq!(weighed.tsquery(Some('A')), "'a':A <-> 'b':*A & 'c':A");
    assert_eq!(
        weighed.fts5(Some("sub\"ject")),
        "\"sub\"\"ject\" : (\"a b\" * AND \"c\")"
    );
}

#[test]
fn queries_that_are_refused() {
    for (query, error) in [
        ("", QueryError::Empty),
        (" -- \"\" * ", QueryError::Empty),
        (&*"a ".repeat(MAX_TERMS + 1), QueryError::TooManyTerms),
        (&*"a".repeat(MAX_QUERY_CHARS + 1), QueryError::TooLong),
    ] {
        assert_eq!(Query::parse(query), Err(error), "{query}");
    }
    assert!(Query::parse(&"a ".repeat(MAX_TERMS)).is_ok());
}

proptest! {
    #[test]
    fn words_are_clean_and_stay_what_they_are(text in "\\PC{0,60}") {
        let once = words(&text);
        prop_assert_eq!(&words(&once), &once);
        for word in once.split(' ') {
            prop_assert!(word.chars().all(is_word), "{:?}", word);
        }
        if let Ok(query) = Query::parse(&text) {
            prop_assert_eq!(query.fts5(None).matches('"').count() % 2, 0);
        }
    }
}
