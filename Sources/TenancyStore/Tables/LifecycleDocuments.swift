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

/// A tenant's login as JSON has it, in the tenant's row and in the log.
struct DataLoginDocument: Codable {
  private let createTime: Int64
  private let former: UInt32?
  private let key: KeyID
  private let next: Next?
  private let number: UInt32
  private let standing: String?
  private let version: UInt64

  private struct Next: Codable {
    let key: KeyID
    let number: UInt32
    let version: UInt64
  }

  init(_ login: DataLogin) {
    former = login.former
    next = login.next.map {
      Next(key: $0.password.key, number: $0.number, version: $0.password.version)
    }
    createTime = login.createTime.nanoseconds
    key = login.password.key
    number = login.number
    standing = login.standing == .open ? nil : login.standing.rawValue
    version = login.password.version
  }

  var login: DataLogin {
    DataLogin(
      number: number, password: SecretReference(version: version, key: key),
      createTime: Timestamp(nanoseconds: createTime),
      next: next.map {
        DataLogin.Next(
          number: $0.number, password: SecretReference(version: $0.version, key: $0.key))
      }, former: former,
      // Of what a later version knows, it is not known whether they can: it is done again.
      standing: standing.map { DataLogin.Standing(rawValue: $0) ?? .changing } ?? .open)
  }

  /// What the encoder makes of the document.
  static func write(_ login: DataLogin, to json: inout JSONText) throws(StoreError) {
    try json.object { json throws(StoreError) in
      json.pair("createTime", login.createTime)
      if let former = login.former { json.pair("former", UInt64(former)) }
      json.pairs(("key", login.password.key.description))
      if let next = login.next {
        json.key("next")
        try json.object { json throws(StoreError) in
          json.pairs(("key", next.password.key.description))
          json.pair("number", UInt64(next.number))
          json.pair("version", next.password.version)
        }
      }
      json.pair("number", UInt64(login.number))
      if login.standing != .open { json.pairs(("standing", login.standing.rawValue)) }
      json.pair("version", login.password.version)
    }
  }
}
