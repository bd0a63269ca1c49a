import ArgumentParser
import Foundation
import TenancyWire

/// Which file, and whose policy it is to be.
struct PolicyTarget: ParsableArguments {
  @Argument(help: "A policy file; - for stdin.", completion: .file()) var file: String
  @Option(help: "The tenant whose policy it is to be.") var tenant: String
  @Flag(help: "Does not run the file's tests, which are to pass otherwise.") var skipTests = false

  /// - Throws: `FleetFailure` with what is wrong with the file, `UsageError` where one of its tests fails.
  func policy() throws -> PolicyFile {
    let policy = try PolicyReader.file(file)
    if skipTests { return policy }
    let run = PolicyTestRun(policy, file: file == "-" ? "stdin" : file)
    guard run.failures.isEmpty else {
      throw UsageError(
        (["its tests fail; nothing was changed"] + run.lines()).joined(separator: "\n"))
    }
    return policy
  }
}

struct PlanPolicyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Shows what a policy file would change, and what the server would refuse.",
    discussion: """
      The file is the policy as a whole: what is not in it goes. Exits with 0 if nothing would change, 3 if something \
      would, 1 if the server refuses.
      """)

  @OptionGroup var target: PolicyTarget
  @Option(
    help: ArgumentHelp(
      "Keeps the plan: applied with it, the policy must be what it is now.", valueName: "file"),
    completion: .file())
  var out: String?
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let (policy, name) = (try target.policy(), try ResourceName.tenant(target.tenant))
    let plan = try await server.connected {
      let plan = try await PolicyPlan(policy, for: name, $0)
      try await plan.carryOut($0, isTrial: true)
      return plan
    }
    output.show(plan)
    if !plan.isWithinOne {
      output.remark([
        "more changes than one transaction makes: 'apply --in-parts' makes them in several; what the server "
          + "would refuse was asked for the first of them"
      ])
    }
    if let out { try PolicyPlanFile(plan).write(to: out) }
    if !plan.steps.isEmpty { throw ExitCode(Failure.answerIsNo) }
  }
}

struct ApplyPolicyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply", abstract: "Makes a tenant's policy what a file says.",
    discussion: """
      The file is the policy as a whole: what is not in it goes. Shows what would change, and asks. All of it is done, \
      or nothing: also where the policy has changed since the plan (ABORTED).
      """)

  @OptionGroup var target: PolicyTarget
  @Option(
    help: ArgumentHelp(
      "What 'policy plan --out' has written: nothing is done if anything has changed since.",
      valueName: "file"),
    completion: .file())
  var plan: String?
  @Flag(
    help: "Makes more changes than one transaction takes in several, one after the other.")
  var inParts = false
  @Flag(name: [.customShort("y"), .long], help: "Does not ask.") var yes = false
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let (policy, name) = (try target.policy(), try ResourceName.tenant(target.tenant))
    let kept = try plan.map { try PolicyPlanFile(reading: $0) }
    try await server.connected { connection in
      var plan = try await PolicyPlan(policy, for: name, connection)
      if let kept {
        try kept.check(plan)
        plan = plan.made(of: kept.basis)
      }
      output.show(plan)
      if plan.steps.isEmpty { return }
      try confirm()
      try await plan.carryOut(connection, inParts: inParts)
      output.remark(["applied to \(plan.tenant)"])
    }
  }

  private func confirm() throws(UsageError) {
    if yes { return }
    guard isatty(STDIN_FILENO) == 1, target.file != "-" else {
      throw UsageError("nothing was changed: --yes applies the plan without asking")
    }
    // The plan comes before the question, also where the one goes elsewhere.
    fflush(nil)
    var asking = ConfirmationOptions()
    asking.yes = false
    try asking.confirm("Apply this?")
  }
}
