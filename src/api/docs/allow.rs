//! The methods of a path, from the document: what the `Allow` header of a 405 says.

use serde_json::Value;

/// Which methods the document has for a concrete path such as `/v1/mailboxes/0198…`, in upper case and in the document's
/// order, with `HEAD` wherever there is `GET`. Empty when no template matches. As in routing, a literal segment wins over
/// a parameter.
pub fn allowed_methods(document: &Value, path: &str) -> Vec<String> {
    let Some(paths) = document.get("paths").and_then(Value::as_object) else {
        return Vec::new();
    };
    let best = paths
        .iter()
        .filter_map(|(template, item)| Some((matched(template, path)?, item)))
        .min_by(|(a, _), (b, _)| a.cmp(b));
    let mut methods = Vec::new();
    for method in best
        .and_then(|(_, item)| item.as_object())
        .into_iter()
        .flat_map(|item| item.keys())
    {
        let method = method.to_ascii_uppercase();
        let get = method == "GET";
        methods.push(method);
        if get {
            methods.push("HEAD".to_owned());
        }
    }
    methods
}

/// For each segment whether it was matched by a parameter; `None` if the path is not of this template.
fn matched(template: &str, path: &str) -> Option<Vec<bool>> {
    let mut actual = path.split('/');
    let mut parameters = Vec::new();
    for wanted in template.split('/') {
        let segment = actual.next()?;
        let parameter = wanted.starts_with('{') && wanted.ends_with('}');
        if (parameter && segment.is_empty()) || (!parameter && wanted != segment) {
            return None;
        }
        parameters.push(parameter);
    }
    actual.next().is_none().then_some(parameters)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn literal_segments_win_and_get_brings_head() {
        let document = json!({ "paths": {
            "/v1/mailboxes": { "get": {}, "post": {} },
            "/v1/mailboxes/{id}": { "get": {}, "patch": {}, "delete": {} },
            "/v1/mailboxes/verify": { "post": {} },
        }});
        assert_eq!(
            allowed_methods(&document, "/v1/mailboxes"),
            ["GET", "HEAD", "POST"]
        );
        assert_eq!(
            allowed_methods(&document, "/v1/mailboxes/7"),
            ["GET", "HEAD", "PATCH", "DELETE"]
        );
        assert_eq!(allowed_methods(&document, "/v1/mailboxes/verify"), ["POST"]);
        for unknown in ["/v1", "/v1/mailboxes/", "/v1/mailboxes/7/x", ""] {
            assert!(allowed_methods(&document, unknown).is_empty(), "{unknown}");
        }
    }
}
