//! Numbers with what they count, as people read them.

/// `1 line`, `2 lines`, `2 addresses`.
pub fn counted(number: u64, thing: &str) -> String {
    let ending = match number {
        1 => "",
        _ if thing.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {thing}{ending}")
}

/// The verb that follows them.
pub fn were(number: u64) -> &'static str {
    if number == 1 { "was" } else { "were" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let told = [0, 1, 2].map(|number| format!("{} {}", counted(number, "line"), were(number)));
        assert_eq!(told, ["0 lines were", "1 line was", "2 lines were"]);
        assert_eq!([1, 2].map(|number| counted(number, "process")), ["1 process", "2 processes"]);
    }
}
