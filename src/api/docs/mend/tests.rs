//! Each mending, on the smallest document that needs it.

use serde_json::{Value, json};

use super::{MendError, Options, mend};

/// A document of one operation `GET /things` that answers the schema `Thing` and takes `Body`.
fn document(schemas: Value) -> Value {
    let mut document = json!({
        "openapi": "3.0.0",
        "info": { "title": "t", "version": "1" },
        "servers": [],
        "tags": [{ "name": "B", "description": "b" }, { "name": "A", "description": "a" }, { "name": "C" }],
        "paths": { "/things": { "post": {
            "tags": ["B", "A"],
            "requestBody": { "content": { "application/json": { "schema": reference("Body") } }, "required": true },
            "responses": { "200": {
                "description": "",
                "content": { "application/json; charset=utf-8": { "schema": reference("Thing") } },
            } },
        } } },
        "components": {},
    });
    document["components"]["schemas"] = schemas;
    document
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn object(properties: &Value) -> Value {
    json!({ "type": "object", "title": "x", "properties": properties })
}

/// What one property of `Thing` becomes.
fn property(property: &Value) -> Value {
    let other = json!({ "type": "string", "enum": ["a"] });
    let schemas =
        json!({ "Thing": object(&json!({ "p": property })), "Body": object(&json!({})), "Other": other });
    let mended = mend(document(schemas), &Options::default()).unwrap();
    mended
        .pointer("/components/schemas/Thing/properties/p")
        .unwrap()
        .clone()
}

#[test]
fn nullable_becomes_a_type_or_a_choice() {
    assert_eq!(
        property(&json!({ "type": "string", "nullable": true })),
        json!({ "type": ["string", "null"] })
    );
    assert_eq!(
        property(&json!({ "type": "string", "enum": ["a"], "nullable": true })),
        json!({ "type": ["string", "null"], "enum": ["a", null] })
    );
    let documented = json!({
        "description": "d", "nullable": true,
        "allOf": [reference("Other"), { "description": "d", "nullable": true }],
    });
    assert_eq!(
        property(&documented),
        json!({ "description": "d", "anyOf": [reference("Other"), { "type": "null" }] })
    );
}

#[test]
fn a_documented_reference_is_hoisted_unless_it_has_a_default() {
    let documented = json!({ "description": "d", "allOf": [reference("Other"), { "description": "d" }] });
    assert_eq!(
        property(&documented),
        json!({ "$ref": "#/components/schemas/Other", "description": "d" })
    );
    let patch = json!({ "description": "d", "default": "a" });
    let with_default = json!({ "description": "d", "default": "a", "allOf": [reference("Other"), patch] });
    assert_eq!(
        property(&with_default),
        json!({ "description": "d", "default": "a", "allOf": [reference("Other")] })
    );
    let real = json!({ "allOf": [reference("Other"), { "type": "object" }] });
    assert_eq!(property(&real), real);
}

#[test]
fn numbers_have_the_bounds_and_formats_of_openapi() {
    let bounds = json!({
        "type": "number", "minimum": 0.0, "exclusiveMinimum": true, "maximum": 1.5, "exclusiveMaximum": false,
    });
    assert_eq!(
        property(&bounds),
        json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1.5 })
    );
    let of = |format: &str| property(&json!({ "type": "integer", "format": format }));
    assert_eq!(
        of("uint64"),
        json!({ "type": "integer", "format": "int64", "minimum": 0 })
    );
    assert_eq!(
        of("uint32"),
        json!({ "type": "integer", "format": "int64", "minimum": 0 })
    );
    assert_eq!(
        of("uint16"),
        json!({ "type": "integer", "format": "int32", "minimum": 0, "maximum": 65535 })
    );
    assert_eq!(of("int32"), json!({ "type": "integer", "format": "int32" }));
    let limit = json!({ "type": "integer", "format": "uint32", "minimum": 1.0, "maximum": 200.0 });
    assert_eq!(
        property(&limit),
        json!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 200 })
    );
}

#[test]
fn answers_require_what_may_be_null_and_requests_refuse_what_is_unknown() {
    let fields = json!({
        "a": { "type": "string", "nullable": true }, "b": { "type": "string" }, "c": { "type": "string" },
        "s": reference("Shared"),
    });
    let mut thing = object(&fields);
    thing["required"] = json!(["c"]);
    let shared = object(&json!({ "a": { "type": "string", "nullable": true } }));
    let schemas = json!({ "Thing": thing, "Body": object(&fields), "Shared": shared, "Unused": shared });
    let options = Options {
        closed_requests: true,
        ..Options::default()
    };
    let mended = mend(document(schemas), &options).unwrap();
    let schemas = &mended["components"]["schemas"];
    assert_eq!(schemas["Thing"]["required"], json!(["a", "c"]));
    assert_eq!(schemas["Thing"].get("additionalProperties"), None);
    assert_eq!(schemas["Body"].get("required"), None);
    assert_eq!(schemas["Body"]["additionalProperties"], json!(false));
    assert_eq!(schemas["Shared"].get("required"), None);
    assert_eq!(schemas["Shared"].get("additionalProperties"), None);
    assert_eq!(schemas.get("Unused"), None);
    assert_eq!(schemas["Thing"].get("title"), None);
}

/// A union as poem-openapi writes it, and its variants.
fn union(name: &str, objects: &[&str]) -> Vec<(String, Value)> {
    let written = |object: &&str| format!("{name}_{object}");
    let tag = |object: &str| json!({ "type": "string", "enum": [object.to_lowercase()], "example": "e" });
    let mut schemas: Vec<(String, Value)> = objects
        .iter()
        .map(|object| {
            let tagged =
                json!({ "type": "object", "required": ["type"], "properties": { "type": tag(object) } });
            (
                written(object),
                json!({ "description": "u", "allOf": [tagged, reference(object)] }),
            )
        })
        .collect();
    let mapping: serde_json::Map<String, Value> = objects
        .iter()
        .map(|object| (object.to_lowercase(), reference(&written(object))["$ref"].clone()))
        .collect();
    let choices: Vec<Value> = objects.iter().map(|object| reference(&written(object))).collect();
    let discriminator = json!({ "propertyName": "type", "mapping": mapping });
    let union = json!({ "type": "object", "oneOf": choices, "discriminator": discriminator });
    schemas.push((name.to_owned(), union));
    schemas
}

#[test]
fn unions_have_flat_variants_under_plain_names() {
    let mut schemas = json!({
        "Thing": object(&json!({ "one": reference("One"), "two": reference("Two") })),
        "Body": object(&json!({})),
        "Cat": { "type": "object", "required": ["n"], "properties": { "n": { "type": "string" } }, "example": { "n": "m" } },
        "Dog": object(&json!({})),
        "Owl": object(&json!({})),
    });
    let unions = union("One", &["Cat", "Dog"])
        .into_iter()
        .chain(union("Two", &["Dog", "Owl"]));
    schemas.as_object_mut().unwrap().extend(unions);
    let mended = mend(document(schemas), &Options::default()).unwrap();
    let schemas = &mended["components"]["schemas"];
    let names: Vec<&String> = schemas.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["Body", "Cat", "One", "OneDog", "Owl", "Thing", "Two", "TwoDog"]
    );
    assert_eq!(
        schemas["Cat"],
        json!({
            "type": "object",
            "required": ["type", "n"],
            "properties": {
                "type": { "type": "string", "const": "cat", "description": "Always `cat`." },
                "n": { "type": "string" },
            },
            "examples": [{ "type": "cat", "n": "m" }],
        })
    );
    assert_eq!(
        schemas["One"],
        json!({
            "oneOf": [reference("Cat"), reference("OneDog")],
            "discriminator": {
                "propertyName": "type",
                "mapping": { "cat": "#/components/schemas/Cat", "dog": "#/components/schemas/OneDog" },
            },
        })
    );
}

#[test]
fn operations_say_where_they_are_what_they_take_and_what_they_answer() {
    let mut raw = document(json!({ "Thing": object(&json!({})), "Body": object(&json!({})) }));
    let operation = &mut raw["paths"]["/things"]["post"];
    operation["parameters"] = json!([{
        "name": "q", "schema": { "type": "string" }, "in": "query", "required": false, "deprecated": false, "explode": true,
    }]);
    operation["responses"]["200"]["headers"] = json!({
        "X-REQUEST-ID": { "required": true, "deprecated": false, "schema": { "type": "string" } },
        "ETAG": { "schema": { "type": "string" }, "deprecated": false },
    });
    let mut secured = operation.clone();
    secured["security"] = json!([{ "ApiKey": [] }]);
    secured["responses"]["200"]["headers"] = json!({});
    raw["paths"]["/"] = json!({ "get": secured });

    let mended = mend(
        raw,
        &Options {
            prefix: "/v1/".into(),
            ..Options::default()
        },
    )
    .unwrap();
    let paths: Vec<&String> = mended["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/v1/things", "/v1"]);
    assert_eq!(mended["openapi"], "3.1.0");
    assert_eq!(mended["servers"], json!([{ "url": "/" }]));
    let tags: Vec<&Value> = mended["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    assert_eq!(tags, ["A", "B"]);
    assert_eq!(
        mended["paths"]["/v1"]["get"]["security"],
        json!([{ "ApiKey": [] }])
    );
    let operation = &mended["paths"]["/v1/things"]["post"];
    assert_eq!(operation["security"], json!([]));
    assert_eq!(
        operation["parameters"],
        json!([{ "name": "q", "in": "query", "schema": { "type": "string" } }])
    );
    let answer = &operation["responses"]["200"];
    assert_eq!(answer["description"], "OK.");
    assert_eq!(
        answer["content"],
        json!({ "application/json": { "schema": reference("Thing") } })
    );
    let headers: Vec<&String> = answer["headers"].as_object().unwrap().keys().collect();
    assert_eq!(headers, ["X-Request-Id", "ETag"]);
    assert_eq!(
        answer["headers"]["ETag"],
        json!({ "schema": { "type": "string" } })
    );
}

/// A document with the same three error answers on two operations.
fn with_errors() -> Value {
    let problem = json!({
        "type": "object",
        "properties": { "status": { "type": "integer" }, "title": { "type": "string" } },
        "example": { "status": 400, "title": "Bad Request" },
    });
    let mut raw =
        document(json!({ "Thing": object(&json!({})), "Body": object(&json!({})), "Problem": problem }));
    let error = json!({
        "description": "e", "content": { "application/problem+json": { "schema": reference("Problem") } },
    });
    for status in ["415", "412", "404"] {
        raw["paths"]["/things"]["post"]["responses"][status] = error.clone();
    }
    raw["paths"]["/more"] = json!({ "get": raw["paths"]["/things"]["post"].clone() });
    raw["paths"]["/more"]["get"]
        .as_object_mut()
        .unwrap()
        .remove("requestBody");
    raw
}

#[test]
fn errors_are_shared_and_show_their_own_status() {
    let mended = mend(with_errors(), &Options::default()).unwrap();
    let responses = &mended["paths"]["/more"]["get"]["responses"];
    assert_eq!(
        responses["404"],
        json!({ "$ref": "#/components/responses/NotFound" })
    );
    let shared = mended["components"]["responses"].as_object().unwrap();
    let names: Vec<&String> = shared.keys().collect();
    assert_eq!(names, ["NotFound", "PreconditionFailed", "UnsupportedMediaType"]);
    let example = &shared["NotFound"]["content"]["application/problem+json"]["example"];
    assert_eq!(example, &json!({ "status": 404, "title": "Not Found" }));
    assert_eq!(mended["components"]["schemas"]["Problem"].get("examples"), None);
}

#[test]
fn headers_that_answers_have_in_common_are_shared() {
    let mut raw = with_errors();
    let header =
        json!({ "description": "h", "required": false, "deprecated": false, "schema": { "type": "string" } });
    for (path, method) in [("/things", "post"), ("/more", "get")] {
        let responses = &mut raw["paths"][path][method]["responses"];
        responses["200"]["headers"] = json!({ "X-REQUEST-ID": header, "ETAG": { "description": path } });
    }
    let mended = mend(raw, &Options::default()).unwrap();
    let shared = json!({ "X-Request-Id": { "description": "h", "schema": { "type": "string" } } });
    assert_eq!(mended["components"]["headers"], shared);
    let headers = &mended["paths"]["/more"]["get"]["responses"]["200"]["headers"];
    let expected = json!({ "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" }, "ETag": { "description": "/more" } });
    assert_eq!(headers, &expected);
}

#[test]
fn the_caller_may_make_the_examples_of_errors() {
    let make = |status: u16, schema: &str| (status == 404).then(|| json!(format!("{schema} {status}")));
    let mended = mend(
        with_errors(),
        &Options {
            error_example: Some(make),
            ..Options::default()
        },
    )
    .unwrap();
    let shared = &mended["components"]["responses"];
    let example = |name: &str| &shared[name]["content"]["application/problem+json"]["example"];
    assert_eq!(example("NotFound"), "Problem 404");
    assert_eq!(example("PreconditionFailed")["status"], 412);
}

#[test]
fn impossible_errors_are_left_out_when_asked() {
    let mended = mend(
        with_errors(),
        &Options {
            prune: true,
            ..Options::default()
        },
    )
    .unwrap();
    let statuses = |path: &str, method: &str| -> Vec<String> {
        mended["paths"][path][method]["responses"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(statuses("/things", "post"), ["200", "404", "415"]);
    assert_eq!(statuses("/more", "get"), ["200"]);
}

#[test]
fn names_that_look_like_keywords_are_names() {
    let fields = json!({ "example": reference("Other"), "default": reference("Other"), "properties": reference("Other") });
    let schemas =
        json!({ "Thing": object(&fields), "Body": object(&json!({})), "Other": object(&json!({})) });
    let mended = mend(document(schemas), &Options::default()).unwrap();
    assert_eq!(mended["components"]["schemas"]["Thing"]["properties"], fields);
    assert_eq!(
        mended["components"]["schemas"]["Other"],
        json!({ "type": "object", "properties": {} })
    );
}

#[test]
fn examples_lose_nulls_that_the_schema_does_not_admit() {
    let mut thing =
        object(&json!({ "a": { "type": "string", "nullable": true }, "b": { "type": "string" }, "c": {} }));
    thing["example"] = json!({ "a": null, "b": null, "c": null });
    let mended = mend(
        document(json!({ "Thing": thing, "Body": object(&json!({})) })),
        &Options::default(),
    )
    .unwrap();
    assert_eq!(
        mended["components"]["schemas"]["Thing"]["examples"],
        json!([{ "a": null, "c": null }])
    );
}

#[test]
fn webhooks_keep_their_schemas_and_need_no_credential() {
    let mut raw = document(
        json!({ "Thing": object(&json!({})), "Body": object(&json!({})), "Event": object(&json!({})) }),
    );
    let hook = json!({ "post": {
        "requestBody": { "content": { "application/json; charset=utf-8": { "schema": reference("Event") } } },
        "responses": { "204": { "description": "Taken." } },
    } });
    raw["webhooks"] = json!({ "message.received": hook });
    let more = json!({ "ping": { "post": { "responses": {} } } });
    let options = Options {
        webhooks: more.as_object().unwrap().clone(),
        ..Options::default()
    };
    let mended = mend(raw, &options).unwrap();
    let hook = &mended["webhooks"]["message.received"]["post"];
    assert_eq!(hook["security"], json!([]));
    assert_eq!(
        hook["requestBody"]["content"],
        json!({ "application/json": { "schema": reference("Event") } })
    );
    assert!(mended["components"]["schemas"].get("Event").is_some());
    assert_eq!(mended["webhooks"]["ping"], more["ping"]);
}

#[test]
fn other_input_is_refused() {
    let shape = |raw: Value| mend(raw, &Options::default()).unwrap_err();
    assert!(matches!(shape(json!([])), MendError::Shape(_)));
    assert!(matches!(
        shape(json!({ "openapi": "3.1.0" })),
        MendError::Shape(_)
    ));
    assert!(matches!(
        shape(json!({ "openapi": "3.0.0", "info": {}, "paths": {} })),
        MendError::Shape(_)
    ));
    let lost = shape(document(json!({ "Thing": object(&json!({})) })));
    assert!(matches!(lost, MendError::Reference(name) if name == "#/components/schemas/Body"));
}
