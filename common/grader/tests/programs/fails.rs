//! PASS
//! [[run]]
//! fails = true
//! stderr = ["it is broken"]

fn main() -> anyhow::Result<()> {
    anyhow::bail!("it is broken, as it must be")
}
