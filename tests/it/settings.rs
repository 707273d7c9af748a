//! The settings and commands are the same in the code, in `--help`, in the README and in what was promised.

use std::path::Path;

use clap::{Args, Command};
use postroom::{cli, config::Settings};

/// What was promised: each variable and its default.
const PROMISED: [(&str, &str); 16] = [
    ("POSTROOM_LISTEN", "127.0.0.1:8080"),
    ("DATABASE_URL", "sqlite://DATA_DIR/postroom.db"),
    ("POSTROOM_DATA_DIR", "./data"),
    ("POSTROOM_BLOB_URL", "file://DATA_DIR/blobs"),
    (
        "POSTROOM_SECRET_KEY",
        "made on first start, kept in the data dir with mode 600",
    ),
    ("POSTROOM_ADMIN_KEY", "made and printed once on first start"),
    ("POSTROOM_PUBLIC_URL", "http:// and the listen address"),
    ("POSTROOM_EGRESS_ALLOW", "empty"),
    ("POSTROOM_RATE_LIMIT", "6000/min"),
    ("POSTROOM_TENANT_RATE_LIMIT", "30000/min"),
    ("POSTROOM_CA_FILE", "empty"),
    ("POSTROOM_MAX_MESSAGE", "50MiB"),
    ("POSTROOM_EVENT_RETENTION", "30d"),
    ("POSTROOM_TRUSTED_PROXIES", "empty"),
    ("POSTROOM_LOG", "info"),
    ("POSTROOM_LOG_FORMAT", "text"),
];

/// A row of the table: the variable, its default, what it means.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    variable: String,
    default: String,
    meaning: String,
}

/// The settings as clap knows them. A default that is no plain value stands in brackets at the end of the meaning.
fn defined() -> Vec<Row> {
    let settings = Settings::augment_args(Command::new("settings"));
    settings
        .get_arguments()
        .map(|setting| {
            let variable = setting.get_env().unwrap().to_str().unwrap().to_owned();
            let option = variable
                .trim_start_matches("POSTROOM_")
                .to_lowercase()
                .replace('_', "-");
            assert_eq!(
                setting.get_long(),
                Some(option.as_str()),
                "the option of {variable}"
            );
            let help = setting.get_help().unwrap().to_string();
            let (meaning, told) = help.split_once(" [default: ").unwrap_or((&help, "empty]"));
            let value = setting
                .get_default_values()
                .first()
                .map(|value| value.to_str().unwrap());
            let default = value.unwrap_or(told.trim_end_matches(']'));
            let default = if default.is_empty() { "empty" } else { default };
            Row {
                variable,
                default: default.to_owned(),
                meaning: meaning.trim_end_matches('.').to_owned(),
            }
        })
        .collect()
}

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

#[test]
fn the_readme_has_every_setting_as_it_is_defined() {
    let readme = readme();
    let rows: Vec<Row> = readme
        .lines()
        .filter(|line| line.starts_with("| `POSTROOM_") || line.starts_with("| `DATABASE_URL`"))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [variable, default, meaning] = cells.as_slice() else {
                panic!("three cells: {line}");
            };
            Row {
                variable: variable.replace('`', ""),
                default: default.replace('`', ""),
                meaning: (*meaning).to_owned(),
            }
        })
        .collect();
    assert_eq!(rows, defined());
}

#[test]
fn the_settings_are_those_that_were_promised() {
    let defined = defined();
    let defined: Vec<_> = defined
        .iter()
        .map(|row| (row.variable.as_str(), row.default.as_str()))
        .collect();
    assert_eq!(defined, PROMISED);
}

#[test]
fn help_names_every_setting_and_every_command() {
    let mut command = cli::command();
    let help = command.render_long_help().to_string();
    for row in defined() {
        assert!(
            help.contains(&row.variable) && help.contains(&row.meaning),
            "{row:?} in:\n{help}"
        );
    }
    let readme = readme();
    let commands = leaves(&cli::command(), "postroom");
    let promised = [
        "serve",
        "demo",
        "sandbox",
        "migrate",
        "openapi",
        "tenants create",
        "keys create",
        "doctor",
    ];
    for promised in promised {
        assert!(
            commands.contains(&format!("postroom {promised}")),
            "{promised} in {commands:?}"
        );
    }
    for command in &commands {
        assert!(
            readme.contains(&format!("| `{command}")),
            "`{command}` has no row in the README"
        );
    }
    assert_eq!(commands.len(), promised.len());
}

/// Every command that does something, with its words.
fn leaves(command: &Command, words: &str) -> Vec<String> {
    let below: Vec<_> = command
        .get_subcommands()
        .flat_map(|one| leaves(one, &format!("{words} {}", one.get_name())))
        .collect();
    if below.is_empty() {
        vec![words.to_owned()]
    } else {
        below
    }
}

#[test]
fn the_sandbox_takes_its_own_options_and_no_settings() {
    let command = cli::command();
    let sandbox = command.find_subcommand("sandbox").unwrap();
    let options: Vec<_> = sandbox.get_arguments().filter_map(clap::Arg::get_long).collect();
    assert_eq!(options, ["listen", "tls-cert"]);
}
