//! Runs the node and Python programs among the tests, with the tools that `make test` puts in `target/tooling`.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A working folder with the tools' packages and a copy of the programs of one source folder.
#[derive(Debug)]
pub(crate) struct Tooling {
    folder: PathBuf,
    variables: Vec<(String, OsString)>,
}

impl Tooling {
    /// Copies the files of `source` (relative to the package) to the folder `name` of the tools, and works there.
    ///
    /// `name` is what `tests/setup.sh` gave its npm packages to, or a new name where there are none.
    pub(crate) fn new(name: &str, source: &str) -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tools = package.join("target/tooling");
        let bin = tools.join("venv/bin");
        assert!(
            bin.is_dir(),
            "{} is missing: run `make test`, which sets it up",
            bin.display()
        );
        let folder = tools.join(name);
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(package.join(source)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
            }
        }
        let inherited = env::var_os("PATH").unwrap_or_default();
        let first = [bin, folder.join("node_modules/.bin")];
        let path = env::join_paths(first.into_iter().chain(env::split_paths(&inherited))).unwrap();
        Self {
            folder,
            variables: vec![("PATH".to_owned(), path)],
        }
    }

    /// Gives every program that is run after this an environment variable.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Where the programs run, and leave their files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a program to its end and returns what it wrote to its standard output. The test's own time limit holds for it.
    ///
    /// Panics with all of its output when it fails.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("env");
        // `env` finds the program by the PATH that it is given, not by that of this process.
        command
            .current_dir(&self.folder)
            .envs(self.variables.iter().cloned())
            .arg(program)
            .args(arguments);
        let output = command.output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}\n{out}\n{error}",
            output.status
        );
        out
    }
}

#[test]
fn tooling_runs_node_and_python_and_shows_their_failures() {
    let mut tooling = Tooling::new("self-test", "tests/browser");
    tooling.set("WORD", "heard");
    assert!(tooling.folder().join("swagger.mjs").is_file());
    assert_eq!(tooling.run("node", &["-p", "process.env.WORD"]), "heard\n");
    assert_eq!(
        tooling.run("python", &["-c", "import os, mypy; print(os.environ['WORD'])"]),
        "heard\n"
    );
    let failed =
        std::panic::catch_unwind(|| tooling.run("node", &["-e", "console.log('why'); process.exit(3)"]));
    let message = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(
        message.contains("why") && message.contains("exit status: 3"),
        "{message}"
    );
}
