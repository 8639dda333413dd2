// The version, in one place.

public enum FastFeedVersion {
    public static let text = "0.1.0"
}
