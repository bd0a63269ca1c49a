/// Of this framework and its programs.
public enum Version {
  public static let text = "0.1.0"
}
