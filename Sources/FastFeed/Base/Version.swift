// The version, in one place. A plain value, any thread.

public enum FastFeedVersion {
    public static let text = "0.1.0"
}
