// The version, in one place. A constant.

public enum FastFeedVersion {
    public static let text = "0.1.0"
}
