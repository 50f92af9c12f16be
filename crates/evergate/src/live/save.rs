//! The configuration file, replaced as a whole or not at all.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Puts `text` into the file and keeps what it held as `FILE.previous`. A file that no longer
/// holds `known` was changed by hand, and is left alone.
pub(super) fn replace(file: &Path, known: &str, text: &str) -> Result<(), String> {
    let why = |what: &str, error: &std::io::Error| format!("{what} ({})", error.kind());
    // The file behind a link, so that the link stays one.
    let file = fs::canonicalize(file).map_err(|e| why("the file is not there", &e))?;
    let held = fs::read_to_string(&file).map_err(|e| why("the file cannot be read", &e))?;
    if held == text {
        return Ok(());
    }
    if held != known {
        return Err("the file was changed by hand meanwhile, and is left as it is".to_owned());
    }
    let mode = fs::metadata(&file).map_err(|e| why("the file cannot be read", &e))?.permissions();
    let write = |path: &Path, text: &str| -> std::io::Result<()> {
        let fresh = beside(path, ".new");
        // The mode is set before anything is in it: the text may hold secrets.
        let mut out = fs::File::create(&fresh)?;
        out.set_permissions(mode.clone())?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        fs::rename(&fresh, path)
    };
    write(&beside(&file, ".previous"), &held)
        .and_then(|()| write(&file, text))
        .and_then(|()| sync_folder(&file))
        .map_err(|e| why("the file cannot be written", &e))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the new name outlive a power failure.
fn sync_folder(file: &Path) -> std::io::Result<()> {
    match file.parent() {
        Some(folder) if cfg!(unix) => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_and_its_past_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evergate.toml");
        fs::write(&file, "one").unwrap();
        replace(&file, "one", "two").unwrap();
        replace(&file, "two", "three").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "three");
        let past = folder.path().join("evergate.toml.previous");
        assert_eq!(fs::read_to_string(&past).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn a_file_that_was_changed_by_hand_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evergate.toml");
        fs::write(&file, "by hand").unwrap();
        assert!(replace(&file, "one", "two").unwrap_err().contains("by hand"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "by hand");
        let gone = folder.path().join("nothing.toml");
        assert!(replace(&gone, "one", "two").unwrap_err().contains("not there"));
    }

    #[cfg(unix)]
    #[test]
    fn modes_and_links_stay() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.toml"), folder.path().join("link.toml"));
        fs::write(&file, "one").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, "one", "two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        for name in ["real.toml", "real.toml.previous"] {
            let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
