//! The flags of the verbs about secrets, and `--secret`.

use clap::Args;

use super::containers::{FORMAT_LIST, FORMAT_ONE};
use super::values::BadValue;

/// `secret create`.
#[derive(Debug, Clone, Args)]
pub struct SecretCreateArgs {
    /// Label, NAME or NAME=value
    #[arg(short, long, value_name = "list")]
    pub label: Vec<String>,
    /// The name, and the file or -.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `secret update`.
#[derive(Debug, Clone, Args)]
pub struct SecretUpdateArgs {
    /// The secret, and the file or -.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `secret ls`.
#[derive(Debug, Clone, Args)]
pub struct SecretLsArgs {
    /// How to print
    #[arg(long, value_name = "string", help = FORMAT_LIST)]
    pub format: Option<String>,
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
}

/// `secret inspect`.
#[derive(Debug, Clone, Args)]
pub struct SecretInspectArgs {
    /// How to print
    #[arg(short, long, value_name = "string", help = FORMAT_ONE)]
    pub format: Option<String>,
    /// The secrets.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// One `--secret`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretFlag {
    /// Which.
    pub source: String,
    /// What the file or the variable is called; the secret's name if empty.
    pub target: String,
    /// Whether it is a variable.
    pub variable: bool,
    /// The file's owner.
    pub uid: u32,
    /// The file's group.
    pub gid: u32,
    /// The file's permission bits.
    pub mode: Option<u32>,
}

/// `NAME[,type=mount|env][,target=...][,uid=...][,gid=...][,mode=...]`
pub fn secret(text: &str) -> Result<SecretFlag, BadValue> {
    let mut flag = SecretFlag::default();
    for (index, part) in text.split(',').enumerate() {
        let (key, value) = match part.split_once('=') {
            Some(pair) => pair,
            None if index == 0 => ("source", part),
            None => ("", part),
        };
        let number = |radix| {
            u32::from_str_radix(value, radix)
                .map_err(|_| BadValue(format!("{key}={value}: a number is expected")))
        };
        match key {
            "source" | "src" | "id" => flag.source = value.to_owned(),
            "target" | "dst" => flag.target = value.to_owned(),
            "type" if value == "mount" => flag.variable = false,
            "type" if value == "env" => flag.variable = true,
            "uid" => flag.uid = number(10)?,
            "gid" => flag.gid = number(10)?,
            "mode" => flag.mode = Some(number(8)?),
            _ => {
                return Err(BadValue(format!(
                    "{part:?}: NAME[,type=mount|env][,target=...][,uid=...][,gid=...][,mode=...] is \
                     expected"
                )));
            }
        }
    }
    match flag.source.is_empty() {
        true => Err(BadValue("the name of a secret is expected".to_owned())),
        false => Ok(flag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read() {
        let plain = secret("db").unwrap();
        assert_eq!((plain.source.as_str(), plain.mode), ("db", None));
        let full = secret("source=db,target=key,uid=5,gid=6,mode=0400").unwrap();
        assert_eq!(
            (full.target.as_str(), full.uid, full.gid, full.mode),
            ("key", 5, 6, Some(0o400))
        );
        let variable = secret("db,type=env,target=PASSWORD").unwrap();
        assert!(variable.variable && variable.target == "PASSWORD");
        for bad in [
            "",
            "target=x",
            "db,type=file",
            "db,uid=x",
            "db,mode=9",
            "db,x",
        ] {
            secret(bad).unwrap_err();
        }
    }
}
