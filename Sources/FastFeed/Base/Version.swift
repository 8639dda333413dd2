// The version, in one place. A constant.

/// The version of this library, and of the programs that are built with it.
public enum FastFeedVersion {
    /// `major.minor.patch`, of the library and of `feedd` alike.
    public static let text = "0.1.0"
}
