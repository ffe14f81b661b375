using Sendoff.Benchmarks;

return args switch
{
    ["store", .. var rest] => await StoreBenchmark.RunAsync(rest),
    ["lists", .. var rest] => await ListBenchmark.RunAsync(rest),
    ["workers", .. var rest] => await WorkerBenchmark.RunAsync(rest),
    ["deliveries", .. var rest] => await DeliveryBenchmark.RunAsync(rest),
    ["fairness", .. var rest] => await FairnessBenchmark.RunAsync(rest),
    ["workflows", .. var rest] => await WorkflowBenchmark.RunAsync(rest),
    ["sink"] => await DeliveryBenchmark.SinkAsync(),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine(
        """
        usage: store [events] [callers] [folder]   events through the store: accept, finish with one delivery, record
               lists [rows] [folder]               pages of lists over that many runs
        usage: workers [runs] [callers] [workers] [sandbox]   runs of one step with one send, through the worker pool; sandbox: auto, none
               deliveries [requests] [callers]     attempts to a sink on loopback, and the client of .NET beside them
               workflows FOLDER [workflows] [called] [rounds]   the start of a published server with so many, and so many called at once
               fairness [sends] [rounds]           what deliveries wait for a sender, alone and beside a dead destination
        """
    );
    return 2;
}
