//! Texts on a screen of 80 columns, where a Chinese character takes two.

/// The columns of a screen that everybody has.
pub(super) const SCREEN: usize = 80;

/// How many columns a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(of).sum()
}

fn of(sign: char) -> usize {
    if is_wide(sign) { 2 } else { 1 }
}

fn is_wide(sign: char) -> bool {
    sign > '\u{2e80}'
}

/// The text with spaces up to a width.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The text, cut to a width.
pub(super) fn clip(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for sign in text.chars() {
        if columns(&kept) + of(sign) >= width {
            break;
        }
        kept.push(sign);
    }
    kept + "…"
}

/// The text in lines of at most `width` columns, each after `margin`. It breaks at spaces, and
/// between Chinese characters but not before a sign that closes something.
pub(super) fn hang(text: &str, margin: &str, width: usize) -> String {
    let room = width.saturating_sub(columns(margin)).max(1);
    let mut lines = vec![String::new()];
    for piece in pieces(text) {
        let last = lines.last_mut().expect("there is one from the start");
        if !last.is_empty() && columns(last) + columns(piece.trim_end()) > room {
            lines.push(piece.trim_start().to_owned());
        } else {
            last.push_str(&piece);
        }
    }
    let lines: Vec<String> = lines.iter().map(|l| format!("{margin}{}", l.trim_end())).collect();
    lines.join("\n")
}

/// What may not be broken.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = vec![String::new()];
    let mut before = ' ';
    for sign in text.chars() {
        let closes = matches!(sign, '，' | '。' | '；' | '：' | '）' | '、');
        let opens = before == '（';
        let breaks = before == ' ' || ((is_wide(sign) || is_wide(before)) && !closes && !opens);
        if breaks && sign != ' ' {
            pieces.push(String::new());
        }
        pieces.last_mut().expect("there is one from the start").push(sign);
        before = sign;
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hang_and_never_begin_with_what_closes() {
        assert_eq!(hang("one two three", "  ", 9), "  one two\n  three");
        assert_eq!(hang("工商银行，拒绝", "", 8), "工商银\n行，拒绝");
        assert_eq!(hang("用 UnionPay 付", "", 8), "用\nUnionPay\n付");
        for line in hang("一二三四五六七八九十", " ", 7).lines() {
            assert!(columns(line) <= 7, "{line}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        assert_eq!(clip("short", 5), "short");
        assert_eq!(clip("longer", 5), "long…");
        assert!(columns(&clip("支付宝恢复", 6)) <= 6);
    }
}
