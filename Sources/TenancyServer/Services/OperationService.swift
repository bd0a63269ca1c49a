import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.TenantOperations`.
struct OperationService: Sendable {
  /// Tenants whose operations are looked for when those of all are asked for.
  static let maximumListed = 100

  let provisioner: Provisioner

  func methods(_ gate: Gate) -> [TenancyMethod] {
    [
      gate.async(V1.TenantOperations.getTenantOperation) { (access, request) throws(TenancyError) in
        let (id, number) = try Self.operation(named: request.name, access)
        let found = try await provisioner.operations(of: id, by: access.payer)
        guard
          let operation = number.map({ number in found.first { $0.number == number } })
            ?? found.first
        else { throw Provisioner.operationNotFound }
        return V1.TenantOperation(operation)
      },
      gate.async(V1.TenantOperations.listTenantOperations) {
        (access, request) throws(TenancyError) in
        let found =
          request.parent.isEmpty
          ? try await provisioner.runningOperations(
            limit: Self.maximumListed, by: access.payer)
          : try await provisioner.operations(
            of: Self.tenant(request.parent, field: "parent", access), by: access.payer)
        return V1.ListTenantOperationsResponse(operations: found.map(V1.TenantOperation.init))
      },
      gate.serverStreaming(V1.TenantOperations.watchTenantOperation) {
        request, responses, stream in
        let (id, number) = try Self.operation(named: request.name, stream.access())
        // As long as it takes, but not for longer than the server.
        let isOver: Void? = try await stream.drain.cancelling {
          for try await operation in try await provisioner.watch(id, number, by: stream.payer) {
            try await responses.send(V1.TenantOperation(operation))
          }
        }
        guard isOver != nil else { throw StreamCall.interrupted() }
      },
    ]
  }

  private static func tenant(
    _ name: String, field: String, _ access: Access
  ) throws(TenancyError) -> TenantID {
    try TenantNames.find(
      name.utf8Span.span.bytes, .tenant, field: field, access.snapshot.state, at: access.now
    ).tenant.id
  }

  /// - Returns: the number is nil for the tenant's newest.
  private static func operation(
    named name: String, _ access: Access
  ) throws(TenancyError) -> (TenantID, UInt64?) {
    let parts = name.utf8.split(
      separator: UInt8(ascii: "/"), maxSplits: 3, omittingEmptySubsequences: false
    ).map { String(decoding: $0, as: UTF8.self) }
    guard parts.count == 4 else { return (try tenant(name, field: "name", access), nil) }
    guard parts[0] == "tenants", parts[2] == "operations", let number = UInt64(parts[3]),
      parts[3] == "\(number)"
    else {
      throw .invalid("name", "tenants/{id or slug}/operations/{number}, or the tenant's name alone")
    }
    return (try tenant(parts[1], field: "name", access), number)
  }
}

extension V1.TenantOperation {
  fileprivate init(_ operation: Tenancy.TenantOperation) {
    self.init(
      name: "tenants/\(operation.tenant)/operations/\(operation.number)",
      kind: Kind(operation.kind), state: State(operation.state), subject: operation.actor,
      place: DataPlace.text(operation.place ?? ""), steps: Self.steps(of: operation),
      failure: operation.failure.map {
        Failure(step: DataPlace.text($0.step), reason: $0.reason, time: .init($0.time))
      }, createTime: .init(operation.createTime), updateTime: .init(operation.updateTime),
      endTime: operation.endTime.map { .init($0) })
  }

  private static func steps(of operation: Tenancy.TenantOperation) -> [Step] {
    let (next, isFailed) = (operation.nextStep, operation.state == .failed)
    return operation.planned.map { name in
      if let done = operation.steps.first(where: { $0.name == name }) {
        return Step(
          name: DataPlace.text(name), state: .done, startTime: .init(done.startTime),
          endTime: .init(done.endTime))
      }
      let failed = isFailed && operation.failure?.step == name
      return Step(
        name: DataPlace.text(name), state: failed ? .failed : name == next ? .running : .pending)
    }
  }
}

/// How places are told.
private enum DataPlace {
  /// - Parameter places: one, or several with commas between them.
  static func text(_ places: String) -> String {
    let prefix = DataCluster.place("")
    return places.split(separator: ",").map { place in
      place.hasPrefix(prefix) ? "clusters/\(place.dropFirst(prefix.count))" : String(place)
    }.joined(separator: ",")
  }
}

extension V1.TenantOperation.Kind {
  fileprivate init(_ kind: Tenancy.TenantOperation.Kind) {
    switch kind {
    case .provision: self = .provision
    case .deprovision: self = .deprovision
    }
  }
}

extension V1.TenantOperation.State {
  fileprivate init(_ state: Tenancy.TenantOperation.State) {
    switch state {
    case .running: self = .running
    case .succeeded: self = .succeeded
    case .failed: self = .failed
    case .superseded: self = .superseded
    }
  }
}
