import ArgumentParser
import TenancyWire

struct ProvisionTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "provision",
    abstract: "Makes a tenant's resources: PENDING or PROVISION_FAILED to ACTIVE.")

  @OptionGroup var tenant: TenantArgument
  @Flag(help: "Show each step as it is done, as `operation watch` does.") var watch = false
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.ProvisionTenantResourcesRequest(
      name: try tenant.name(), validateOnly: trial.dryRun, requestId: repetition.requestID)
    let made = try await server.connected { connection in
      if watch, !trial.dryRun { return try await watching(request, connection) }
      return try await connection.tenants.provisionTenantResources(
        request, options: connection.options)
    }
    output.show(made)
  }

  /// What is shown is the operation's: the call answers when it is over.
  private func watching(
    _ request: V1.ProvisionTenantResourcesRequest, _ connection: Connection
  ) async throws -> V1.Tenant {
    let before = try await newest(request.name, connection)
    async let made = connection.tenants.provisionTenantResources(
      request, options: connection.options)
    // It begins before the call is answered, and the answer says what is wrong if it doesn't.
    let progress = Task {
      while !Task.isCancelled {
        let now = try await newest(request.name, connection)
        if let now, now.name != before?.name || now.state == .running {
          return try await OperationProgress(output.output).follow(
            V1.WatchTenantOperationRequest(name: now.name), connection)
        }
        try await Task.sleep(for: Self.interval)
      }
      return nil
    }
    let answer: Result<V1.Tenant, any Error>
    do { answer = .success(try await made) } catch { answer = .failure(error) }
    // What has ended by now is sent at once; what was refused has not begun.
    let after = try? await newest(request.name, connection)
    let hasBegun = before?.state == .running || after?.name != before?.name
    if hasBegun { _ = try? await progress.value } else { progress.cancel() }
    return try answer.get()
  }

  /// Between two looks for the operation.
  private static let interval = Duration.milliseconds(250)

  private func newest(
    _ name: String, _ connection: Connection
  ) async throws -> V1.TenantOperation? {
    try await connection.operations.listTenantOperations(
      V1.ListTenantOperationsRequest(parent: name), options: connection.options
    ).operations.first
  }
}

struct DeprovisionTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "deprovision",
    abstract: "Destroys the resources of a tenant that is not active, with its data.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var etag: EtagOptions
  @Flag(help: "Gives up data that only a node reaches that is gone for good. It is audited.")
  var force = false
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    try confirmation.confirm(
      unless: trial.dryRun,
      force
        ? "Destroy the data of \(tenant.tenant), and give up what other nodes have of it?"
        : "Destroy the data of \(tenant.tenant)?")
    let request = V1.DeprovisionTenantResourcesRequest(
      name: try tenant.name(), etag: etag.etag, force: force, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.tenants.deprovisionTenantResources(request, options: $0.options)
      })
  }
}

struct ActivateTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "activate", abstract: "SUSPENDED or MAINTENANCE to ACTIVE.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.ActivateTenantRequest(
      name: try tenant.name(), etag: etag.etag, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.tenants.activateTenant(request, options: $0.options)
      }
    )
  }
}

struct DeactivateTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "deactivate", abstract: "ACTIVE or MAINTENANCE to SUSPENDED.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.DeactivateTenantRequest(
      name: try tenant.name(), etag: etag.etag, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.tenants.deactivateTenant(request, options: $0.options)
      })
  }
}

struct DeleteTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Deletes a tenant, softly; its names stay reserved.",
    discussion: "Its data stays until its purge time: undelete takes it back until then.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var etag: EtagOptions
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    try confirmation.confirm(
      unless: trial.dryRun,
      "Delete \(tenant.tenant)? Its tokens and workloads' entries go at once.")
    let request = V1.DeleteTenantRequest(
      name: try tenant.name(), etag: etag.etag, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected { try await $0.tenants.deleteTenant(request, options: $0.options) }
    )
  }
}

struct UndeleteTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "undelete", abstract: "Takes a deleted tenant back: DELETED to SUSPENDED.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.UndeleteTenantRequest(
      name: try tenant.name(), etag: etag.etag, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.tenants.undeleteTenant(request, options: $0.options)
      })
  }
}

struct PurgeTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "purge", abstract: "Destroys all that a deleted tenant has, for good.",
    discussion:
      "The server does it by itself after the purge time. Not while there is a legal hold.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var etag: EtagOptions
  @Flag(help: "Does not wait for the purge time.") var ignoreRetention = false
  @Flag(help: "Gives up data that only a node reaches that is gone for good. It is audited.")
  var force = false
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    try confirmation.confirm(
      unless: trial.dryRun, "Destroy all that \(tenant.tenant) has, for good?")
    let request = V1.PurgeTenantRequest(
      name: try tenant.name(), etag: etag.etag, ignoreRetention: ignoreRetention, force: force,
      validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected { try await $0.tenants.purgeTenant(request, options: $0.options) }
    )
  }
}

struct BeginMaintenanceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "begin-maintenance",
    abstract: "Takes a tenant out of service for a while: ACTIVE to MAINTENANCE.")

  @OptionGroup var tenant: TenantArgument
  @Option(
    help: "When it is expected to be over; clients are told. A time, or from now on, such as 2h.")
  var expectedEnd: Moment?
  @Option(help: "Why, for operators.") var reason = ""
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.BeginTenantMaintenanceRequest(
      name: try tenant.name(), etag: etag.etag, expectedEndTime: expectedEnd?.timestamp,
      reason: reason, validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.tenants.beginTenantMaintenance(request, options: $0.options)
      })
  }
}

struct EndMaintenanceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "end-maintenance", abstract: "MAINTENANCE to ACTIVE.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.EndTenantMaintenanceRequest(
      name: try tenant.name(), etag: etag.etag, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.tenants.endTenantMaintenance(request, options: $0.options)
      })
  }
}

struct HoldTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hold", abstract: "Places a legal hold: the tenant's data is not destroyed.")

  @OptionGroup var tenant: TenantArgument
  @Option(help: "Why, for operators.") var reason: String
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.PlaceTenantLegalHoldRequest(
      name: try tenant.name(), etag: etag.etag, reason: reason, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.tenants.placeTenantLegalHold(request, options: $0.options)
      })
  }
}

struct ReleaseTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "release-hold", abstract: "Ends a legal hold.",
    discussion: "Of a deleted tenant whose purge time is over the server destroys the data then.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var etag: EtagOptions
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    try confirmation.confirm(unless: trial.dryRun, "Let the data of \(tenant.tenant) be destroyed?")
    let request = V1.ReleaseTenantLegalHoldRequest(
      name: try tenant.name(), etag: etag.etag, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.tenants.releaseTenantLegalHold(request, options: $0.options)
      })
  }
}

struct ScheduleTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schedule", abstract: "What the server does with a tenant by itself, and when.",
    discussion: """
      A time is given as 2027-01-31T12:00:00Z, or from now on, such as 30d. What is not named stays.
      """)

  enum Part: String, ExpressibleByArgument, CaseIterable {
    case suspend, delete
    case trialEnd = "trial-end"
  }

  @OptionGroup var tenant: TenantArgument
  @Option(help: "When it is suspended.") var suspend: Moment?
  @Option(help: "When it is suspended since its trial is over.") var trialEnd: Moment?
  @Option(help: "When it is deleted.") var delete: Moment?
  @Option(help: "Not any more. May be repeated.") var unset: [Part] = []
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func schedule(from former: V1.TenantSchedule) -> V1.TenantSchedule {
    var schedule = former
    if let suspend { schedule.suspendTime = suspend.timestamp }
    if let trialEnd { schedule.trialEndTime = trialEnd.timestamp }
    if let delete { schedule.deleteTime = delete.timestamp }
    for part in unset {
      switch part {
      case .suspend: schedule.suspendTime = nil
      case .trialEnd: schedule.trialEndTime = nil
      case .delete: schedule.deleteTime = nil
      }
    }
    return schedule
  }

  func run() async throws {
    guard suspend != nil || trialEnd != nil || delete != nil || !unset.isEmpty else {
      throw UsageError("nothing to change: give --suspend, --trial-end, --delete or --unset")
    }
    let name = try tenant.name()
    output.show(
      try await server.connected {
        let now = try await $0.tenants.getTenant(
          V1.GetTenantRequest(name: name), options: $0.options)
        let request = V1.SetTenantScheduleRequest(
          name: name, etag: etag.etag.isEmpty ? now.etag : etag.etag,
          schedule: schedule(from: now.schedule ?? V1.TenantSchedule()), validateOnly: trial.dryRun)
        return try await $0.tenants.setTenantSchedule(request, options: $0.options)
      })
  }
}
