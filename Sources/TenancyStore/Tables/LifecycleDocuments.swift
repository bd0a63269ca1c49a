internal import Tenancy

/// A tenant's plans as JSON has them, in the tenant's row and in the log.
struct LifecyclePlansDocument: Codable {
  private let legalHold: Hold?
  private let maintenance: Maintenance?
  private let schedule: Schedule?

  private struct Hold: Codable {
    let reason: String
    let time: Int64
  }

  private struct Maintenance: Codable {
    let expectedEnd: Int64?
  }

  private struct Schedule: Codable {
    let delete, suspend, trialEnd: Int64?
  }

  init(_ plans: LifecyclePlans) {
    legalHold = plans.legalHold.map { Hold(reason: $0.reason, time: $0.time.nanoseconds) }
    maintenance = plans.maintenance.map {
      Maintenance(expectedEnd: $0.expectedEnd?.nanoseconds)
    }
    let schedule = plans.schedule
    self.schedule =
      schedule == TenantSchedule()
      ? nil
      : Schedule(
        delete: schedule.delete?.nanoseconds, suspend: schedule.suspend?.nanoseconds,
        trialEnd: schedule.trialEnd?.nanoseconds)
  }

  var plans: LifecyclePlans {
    func moment(_ nanoseconds: Int64?) -> Timestamp? {
      nanoseconds.map(Timestamp.init(nanoseconds:))
    }
    return LifecyclePlans(
      maintenance: maintenance.map { PlannedMaintenance(expectedEnd: moment($0.expectedEnd)) },
      legalHold: legalHold.map {
        LegalHold(reason: $0.reason, time: Timestamp(nanoseconds: $0.time))
      },
      schedule: TenantSchedule(
        suspend: moment(schedule?.suspend), trialEnd: moment(schedule?.trialEnd),
        delete: moment(schedule?.delete)))
  }

  /// What the encoder makes of the document.
  static func write(_ plans: LifecyclePlans, to json: inout JSONText) throws(StoreError) {
    try json.object { json throws(StoreError) in
      if let hold = plans.legalHold {
        json.key("legalHold")
        try json.object { json throws(StoreError) in
          json.pair("reason", hold.reason)
          json.pair("time", hold.time)
        }
      }
      if let maintenance = plans.maintenance {
        json.key("maintenance")
        try json.object { json throws(StoreError) in
          json.pair("expectedEnd", maintenance.expectedEnd)
        }
      }
      guard plans.schedule != TenantSchedule() else { return }
      json.key("schedule")
      try json.object { json throws(StoreError) in
        json.pair("delete", plans.schedule.delete)
        json.pair("suspend", plans.schedule.suspend)
        json.pair("trialEnd", plans.schedule.trialEnd)
      }
    }
  }
}
