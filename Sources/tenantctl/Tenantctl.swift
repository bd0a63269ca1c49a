import ArgumentParser
import Foundation
import Tenancy

/// The command line client of the Tenancy server.
@main struct Tenantctl: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tenantctl",
    abstract: "Manages tenants, their roles and certificates.",
    discussion: """
      The server is named by --address, the caller's certificate by --ca, --cert and --key, or by \
      the variables TENANCY_ADDRESS, TENANCY_CA, TENANCY_CERT and TENANCY_KEY. A Unix socket needs \
      no certificate: the server knows the user. With --token (TENANCY_TOKEN_FILE) every call carries \
      a token as well.

      `tenantctl --generate-completion-script bash|zsh|fish` prints completions for the shell.

      EXIT CODES:
        0   done
        1   the server refused, or something else failed
        2   no connection, or no answer in time (UNAVAILABLE, DEADLINE_EXCEEDED)
        3   the answer is no: `check` denied, `validate` found the tenant not valid,
            `token inspect --server` the token not active, `apply --plan` changes,
            `policy test` an answer that is not as expected, `policy diff` and
            `policy plan` a difference
        64  wrong usage
      """,
    version: "tenantctl \(Version.text)",
    subcommands: [
      TenantGroup.self, ApplyCommand.self, RoleGroup.self, SubjectGroupGroup.self, PolicyGroup.self,
      AuditGroup.self, CheckCommand.self, ExplainCommand.self, AccessGroup.self, DecisionGroup.self,
      ResolveCommand.self,
      ValidateCommand.self, DefaultTenantCommand.self, WhoAmICommand.self, LoadCommand.self,
      TokenGroup.self, KeysGroup.self, AuthenticationGroup.self, DomainGroup.self,
      ConfigGroup.self, SettingGroup.self, PlanGroup.self, FlagGroup.self, ClusterGroup.self,
      OperationGroup.self, TopCommand.self,
      IdentityGroup.self,
      SecretsGroup.self, PKIGroup.self, EnvoyGroup.self,
      BackupCommand.self,
      RestoreCommand.self,
      VerifyBackupCommand.self,
    ])

  static func main() async {
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      try Self.flush()
    } catch {
      // Help, parsing errors and exit codes are ArgumentParser's own.
      guard let failure = Failure(error) else { exit(withError: error) }
      failure.report()
      Foundation.exit(failure.exitCode)
    }
  }

  /// What is still in the buffer of the standard output may find no room there.
  private static func flush() throws {
    guard fflush(nil) == 0 else {
      throw unsafe OutputFailure(reason: String(cString: strerror(errno)))
    }
  }
}
