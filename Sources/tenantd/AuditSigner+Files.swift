import Tenancy
import TenancyCrypto

extension AuditSigner {
  /// With a key and a log in files.
  /// - Throws: `PKIError` or `ConfigurationError`.
  init(
    _ plane: ControlPlane, _ settings: AuditSettings.Checkpoints, _ terms: Terms,
    report: @escaping @Sendable (String) -> Void
  ) throws {
    try OwnFiles.checkSecret(settings.key, "audit key")
    let key = try SigningKey(file: settings.key)
    self.init(
      plane, try CheckpointFile(settings.file), terms, report: report, sign: { try key.sign($0) })
  }
}
