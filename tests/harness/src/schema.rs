//! Whether JSON is as a JSON Schema says, by Python's jsonschema (Debian's package python3-jsonschema).

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::python;

/// Reads the schema and a list of values; answers for each what is wrong with it, or nothing.
const SCRIPT: &str = "\
import json, sys
try:
    from jsonschema import Draft202012Validator as Validator
except ImportError:
    sys.exit(77)
schema = json.load(open(sys.argv[1]))
Validator.check_schema(schema)
validator = Validator(schema)
def wrong(value):
    return ['/' + '/'.join(map(str, e.absolute_path)) + ': ' + e.message for e in validator.iter_errors(value)]
json.dump([wrong(value) for value in json.load(sys.stdin)], sys.stdout)
";

/// One that has it: what lies first in PATH may not be the one that Debian's package is for.
fn interpreter() -> &'static str {
    const DEBIANS: &str = "/usr/bin/python3";
    static INTERPRETER: OnceLock<&str> = OnceLock::new();
    let has = |program: &str| {
        let asked = Command::new(program).args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    INTERPRETER.get_or_init(|| if !has(python()) && has(DEBIANS) { DEBIANS } else { python() })
}

/// A schema of `docs/schema`.
#[derive(Clone, Debug)]
pub struct Schema(PathBuf);

impl Schema {
    /// That of `docs/schema/<name>.json`.
    #[must_use]
    pub fn named(name: &str) -> Schema {
        Schema(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schema/{name}.json")))
    }

    /// The schema itself.
    ///
    /// # Panics
    /// When it is not JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        let text = std::fs::read_to_string(&self.0).unwrap_or_else(|e| panic!("{}: {e}", self.0.display()));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", self.0.display()))
    }

    /// What is wrong with each of `values`; an empty list says that nothing is.
    ///
    /// # Panics
    /// When the schema is none, or there is nobody to ask.
    #[track_caller]
    #[must_use]
    pub fn errors(&self, values: &[Value]) -> Vec<Vec<String>> {
        let mut asked = Command::new(interpreter());
        asked.args(["-W", "ignore", "-c", SCRIPT]).arg(&self.0);
        let asked = asked.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut asked = asked.expect("python runs");
        let mut input = asked.stdin.take().expect("its standard input");
        input.write_all(&serde_json::to_vec(values).expect("JSON")).expect("it reads");
        drop(input);
        let answer = asked.wait_with_output().expect("it ends");
        assert_ne!(
            answer.status.code(),
            Some(77),
            "jsonschema is missing: apt-get install python3-jsonschema"
        );
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success(), "{}: {said}", self.0.display());
        serde_json::from_slice(&answer.stdout).expect("a list of lists")
    }

    /// Goes on if nothing is wrong with the value.
    ///
    /// # Panics
    /// If something is.
    #[track_caller]
    pub fn expect_valid(&self, value: &Value) {
        let errors = self.errors(std::slice::from_ref(value)).concat();
        assert!(errors.is_empty(), "{}: {errors:#?}\nin {value:#}", self.0.display());
    }
}
