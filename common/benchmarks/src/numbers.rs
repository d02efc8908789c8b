//! Numbers as people read them: two or three significant digits, and a unit.

/// With so many significant digits.
fn significant(value: f64, digits: usize) -> String {
    // Rounded first: 9.996 is 10.0 then, and not 10.00.
    let rounded = format!("{value:.*e}", digits - 1);
    let exponent: i32 = rounded
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0);
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    let rounded: f64 = rounded.parse().unwrap_or(value);
    format!("{rounded:.decimals$}")
}

/// With three significant digits, in the largest unit of which it is one at least.
fn with_unit(value: f64, units: &[(f64, &str)]) -> String {
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    let fits = units.iter().rev().find(|(size, _)| rounded >= *size);
    let (size, unit) = fits.unwrap_or(&units[0]);
    let number = significant(rounded / size, 3);
    format!("{number} {unit}").trim_end().to_owned()
}

/// `14.5 ns`, `1.23 s`.
pub fn time(seconds: f64) -> String {
    with_unit(
        seconds,
        &[(1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s")],
    )
}

/// `512 MB/s`, `5.31 GB/s`.
pub fn bytes_per_second(rate: f64) -> String {
    with_unit(
        rate,
        &[(1.0, "B/s"), (1e3, "kB/s"), (1e6, "MB/s"), (1e9, "GB/s")],
    )
}

/// `92.1 k`, `5.31 M`.
pub fn count(value: f64) -> String {
    with_unit(value, &[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")])
}

/// `92.1 thousand`, `5.31 million`.
pub fn count_in_words(value: f64) -> String {
    with_unit(
        value,
        &[
            (1.0, ""),
            (1e3, "thousand"),
            (1e6, "million"),
            (1e9, "billion"),
        ],
    )
}

/// How many times as fast: `0.74`, `8.3`, `41`.
pub fn ratio(times: f64) -> String {
    significant(times, 2)
}

/// A ratio that somebody chose: `8` and not `8.0`.
pub fn wanted(times: f64) -> String {
    without_zeros(&ratio(times))
}

/// `100 k` for `100.0 k`: a round number that was not measured.
pub fn without_zeros(text: &str) -> String {
    let (number, unit) = text.split_at(text.find(' ').unwrap_or(text.len()));
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    };
    format!("{number}{unit}")
}

/// `8 B`, `64 KiB`, `2 GiB`.
pub fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB"];
    let power = (bytes.max(1).trailing_zeros() / 10).min(3);
    format!("{} {}", bytes >> (10 * power), units[power as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_rounded_before_their_unit_is_chosen() {
        assert_eq!(time(14.46e-9), "14.5 ns");
        assert_eq!(time(999.6e-9), "1.00 µs");
        assert_eq!(time(0.0123), "12.3 ms");
        assert_eq!(time(61.2), "61.2 s");
        assert_eq!(time(3e-10), "0.300 ns");
        assert_eq!(bytes_per_second(5.309e9), "5.31 GB/s");
        assert_eq!(count(92_149.0), "92.1 k");
        assert_eq!(count(6.0), "6.00");
        assert_eq!(count_in_words(9_999_000.0), "10.0 million");
        assert_eq!(["0.74", "8.3", "41", "9.0", "10", "1200"], {
            [0.7449, 8.27, 41.4, 8.96, 9.96, 1204.0].map(ratio)
        });
        assert_eq!(
            ["8", "0.83", "40", "0.8"],
            [8.0, 1.0 / 1.2, 40.0, 0.8].map(wanted)
        );
        assert_eq!(without_zeros("1.00 ms"), "1 ms");
        assert_eq!(without_zeros("100 k"), "100 k");
        assert_eq!(
            ["8 B", "4 KiB", "1 MiB", "2 GiB", "10 MiB"],
            [8, 4096, 1 << 20, 2 << 30, 10 << 20].map(size)
        );
    }
}
