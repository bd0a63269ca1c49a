/// What became of bytes.
public enum EngineOutcome {
  case proceed
  /// The peer broke the protocol beyond repair: send what is pending, then close.
  case failed(String)
}
