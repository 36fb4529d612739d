import Foundation

/// Names of files with `*` (any characters), `?` (any one) and `[…]` (one of these); large and small letters differ.
public enum FilePattern {
    public static func matches(_ name: String, _ pattern: String) -> Bool {
        fnmatch(pattern, name, 0) == 0
    }
}
