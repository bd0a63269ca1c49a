import ArgumentParser
import Foundation

struct ApplyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply", abstract: "Makes of the fleet what files say of it.",
    discussion: ApplyOptions.discussion)

  @OptionGroup var options: ApplyOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws { try await options.run(output, server) }
}

struct ImportTenantsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "The same as `tenantctl apply`: reads what `export` has written.",
    discussion: ApplyOptions.discussion)

  @OptionGroup var options: ApplyOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws { try await options.run(output, server) }
}

struct ApplyOptions: ParsableArguments {
  static let discussion = """
    Shows what would change, and asks. What a file does not say stays as it is. A tenant that has changed since \
    the plan is left alone (ABORTED). The same again changes nothing.

    With --plan the exit code is 0 if nothing would change, 3 if something would, 1 if something is refused.
    """

  @Option(
    name: [.customShort("f"), .long],
    help: ArgumentHelp(
      "A file, a folder of files, or - for stdin. May be repeated.", valueName: "path"),
    completion: .file())
  var file: [String]

  @Flag(
    name: [.long, .customLong("dry-run")],
    help: "Shows what would change, and what the server would refuse; changes nothing.")
  var plan = false

  @Flag(
    help: "Deletes what the selector finds and no file declares, and roles that files leave out.")
  var prune = false

  @Option(help: "With --prune: which tenants are the files' to declare, as `tenant list --filter`.")
  var selector: String?

  @Flag(help: "Goes on where something is refused or fails. No tenant is deleted then.")
  var keepGoing = false

  @Option(parsing: .unconditional, help: "How many tenants at a time.")
  var parallel = 4

  @Flag(name: [.customShort("y"), .long], help: "Does not ask.") var yes = false

  func validate() throws {
    guard prune == (selector != nil) else {
      throw ValidationError("--prune and --selector go together.")
    }
    guard selector.map({ !$0.allSatisfy(\.isWhitespace) }) ?? true else {
      throw ValidationError("--selector is empty, which would select all tenants.")
    }
    guard (1...FleetRun.maximumParallel).contains(parallel) else {
      throw ValidationError("--parallel is from 1 to \(FleetRun.maximumParallel).")
    }
  }

  func run(_ output: OutputOptions, _ server: ServerOptions) async throws {
    let documents = try FleetFiles.read(file)
    guard !documents.isEmpty else { throw UsageError("the files declare no tenants") }
    let code = try await server.connected { connection in
      let run = FleetRun(
        connection: connection, parallel: parallel, keepsGoing: keepGoing, prunes: selector)
      return try await self.run(run, documents, output)
    }
    guard code == 0 else { throw ExitCode(code) }
  }

  /// - Returns: the exit code.
  private func run(
    _ run: FleetRun, _ documents: [FleetDocument], _ output: OutputOptions
  ) async throws -> Int32 {
    let planned = try await run.plan(documents)
    let mayGoOn = planned.hasChanges && (keepGoing || !planned.isRefused)
    if plan || !mayGoOn {
      output.show(planned)
      if planned.isRefused { return Failure.refused }
      return plan && planned.hasChanges ? Failure.answerIsNo : 0
    }
    // As JSON there is one answer, in the end.
    switch output.output {
    case .table: output.show(planned)
    case .json: if !yes { output.remark(planned.lines()) }
    }
    try confirm()
    let done = try await run.carryOut(planned)
    output.show(done)
    return done.isRefused || done.hasFailed ? Failure.refused : 0
  }

  private func confirm() throws(UsageError) {
    if yes { return }
    guard isatty(STDIN_FILENO) == 1, !file.contains("-") else {
      throw UsageError("nothing was changed: --yes applies the plan without asking")
    }
    // The plan comes before the question, also where the one goes elsewhere.
    fflush(nil)
    var asking = ConfirmationOptions()
    asking.yes = false
    try asking.confirm("Apply this?")
  }
}
