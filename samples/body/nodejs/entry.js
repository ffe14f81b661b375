// The older style: a function's body, with `event`, `$send`, `$respond` and `this` at hand.
const order = event.body || {}
const url = order.url || "http://127.0.0.1:9099/"

if (!order.id) {
  $respond({ status: 422, body: { error: "an order needs an id" } })
  $end("no order id")
}

this.total = (order.lines || []).reduce((sum, line) => sum + line.price, 0)
$send.http({
  method: "POST",
  url,
  data: { order: order.id, total: this.total },
})
$respond({ status: 202, body: { accepted: order.id } })
return this.total
