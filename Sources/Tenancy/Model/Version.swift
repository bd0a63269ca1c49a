/// Of this framework and its programs.
public enum Version {
  /// By Semantic Versioning.
  public static let text = "0.1.0"
}
