import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.Secrets`.
struct SecretService: Sendable {
  /// Nil where no master key is configured.
  let vault: SecretVault?

  func methods(_ gate: Gate) -> [TenancyMethod] {
    [
      gate.async(
        V1.Secrets.rotateDataKey,
        again: { _, _, earlier in
          V1.RotateDataKeyResponse(dataKey: earlier.resource)
        }
      ) { (access, request) throws(TenancyError) in
        guard let vault else {
          throw TenancyError(
            .failedPrecondition, .secretsNotConfigured,
            "the server has no master key (secrets.master_key in its configuration)")
        }
        let key = try await vault.rotateDataKey(
          actor: access.caller.subject,
          judge: try access.requireJudge().validating(only: request.validateOnly))
        return V1.RotateDataKeyResponse(dataKey: key?.description ?? "")
      }
    ]
  }
}
