// Runs the cases of a folder through the array, one after the other without a reset: beats in with gaps, beats out with
// stalls, and what came out into files.
//
// Plusargs: +DIR= the folder, which holds 0000, 0001 ...; +CASES +N +K +M +ZX +ZP: how many of them, and what kernel.toml
// says of sizes and zero points; +FAULT= the version of the array; +STALLS= the seed of gaps and stalls. In each folder
// bias.hex, mult.hex, shift.hex have a word for each channel, and w.hex, x.hex a word for each beat, in the order of the
// array; y.hex has one for each beat of a row (padding included), and is read before it is written, so that what the
// array never gives stays what it was.
module bench;
    localparam ROWS = 4, COLS = 4, DEPTH = 8, LARGE = 4096, LIMIT = 1000000;

    string dir, here;
    integer cases, at, stalls, n, k, m;
    reg signed [7:0] zx, zp;
    reg [4:0] fault;
    reg [31:0] x [0:LARGE - 1], w [0:LARGE - 1], y [0:LARGE - 1], bias [0:LARGE - 1], mult [0:LARGE - 1];
    reg [7:0] shift [0:LARGE - 1];

    reg clk = 0, rst = 1, start = 0, sent = 0;
    reg c_valid = 0, w_valid = 0, x_valid = 0, y_ready = 0;
    reg signed [31:0] c_bias = 0, c_mult = 0;
    reg [5:0] c_shift = 0;
    reg [31:0] w_data = 0, x_data = 0;
    wire c_ready, w_ready, x_ready, y_valid, idle;
    wire [31:0] y_data;

    systolic #(.ROWS(ROWS), .COLS(COLS), .DEPTH(DEPTH)) array (
        .clk(clk), .rst(rst), .fault(fault), .start(start), .idle(idle),
        .n(n[15:0]), .k(k[15:0]), .m(m[15:0]), .zx(zx), .zp(zp),
        .c_valid(c_valid), .c_ready(c_ready), .c_bias(c_bias), .c_mult(c_mult), .c_shift(c_shift),
        .w_valid(w_valid), .w_ready(w_ready), .w_data(w_data), .x_valid(x_valid), .x_ready(x_ready), .x_data(x_data),
        .y_valid(y_valid), .y_ready(y_ready), .y_data(y_data));

    initial forever #1 clk = !clk;

    // Streams change on the falling edge: what stands there then is what the rising edge takes.
    reg [31:0] noise;
    always @(negedge clk) noise <= {noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]};

    integer channel;
    task send_channels;
        for (channel = 0; channel < m; channel = channel + 1) begin
            c_bias = bias[channel];
            c_mult = mult[channel];
            c_shift = shift[channel][5:0];
            c_valid = 1;
            while (!c_ready) @(negedge clk);
            @(negedge clk) c_valid = 0;
        end
    endtask

    // w.hex has the beats of a tile of columns and of k together, x.hex those of a tile of rows and of k.
    integer column, row, deep, beat;
    task send_tiles;
        for (column = 0; column * COLS < m; column = column + 1)
            for (row = 0; row * DEPTH < n; row = row + 1)
                for (deep = 0; deep * ROWS < k; deep = deep + 1) begin
                    for (beat = 0; beat < ROWS; beat = beat + 1) begin
                        w_data = w[(column * ((k + ROWS - 1) / ROWS) + deep) * ROWS + beat];
                        while (noise[3]) @(negedge clk);
                        w_valid = 1;
                        while (!w_ready) @(negedge clk);
                        @(negedge clk) w_valid = 0;
                    end
                    for (beat = 0; beat < DEPTH && row * DEPTH + beat < n; beat = beat + 1) begin
                        x_data = x[(row * ((k + ROWS - 1) / ROWS) + deep) * DEPTH + beat];
                        while (noise[7]) @(negedge clk);
                        x_valid = 1;
                        while (!x_ready) @(negedge clk);
                        @(negedge clk) x_valid = 0;
                    end
                end
    endtask

    // y.hex has a row's beats together; the array gives all rows of a tile of columns before the next one.
    integer y_row, y_column, lanes;
    task take;
        y_row = 0;
        y_column = 0;
        lanes = (m + COLS - 1) / COLS;
        while (!(sent && idle)) begin
            y_ready = noise[11];
            if (y_valid && y_ready && y_column < lanes) begin
                y[y_row * lanes + y_column] = y_data;
                y_row = y_row + 1;
                if (y_row == n) begin
                    y_row = 0;
                    y_column = y_column + 1;
                end
            end
            @(negedge clk);
        end
        y_ready = 0;
    endtask

    initial begin
        if (!$value$plusargs("DIR=%s", dir)) dir = ".";
        if (!$value$plusargs("FAULT=%d", fault)) fault = 0;
        if (!$value$plusargs("STALLS=%d", stalls)) stalls = 1;
        if (!$value$plusargs("CASES=%d", cases)) cases = 1;
        if (!$value$plusargs("N=%d", n)) n = 0;
        if (!$value$plusargs("K=%d", k)) k = 0;
        if (!$value$plusargs("M=%d", m)) m = 0;
        if (!$value$plusargs("ZX=%d", zx)) zx = 0;
        if (!$value$plusargs("ZP=%d", zp)) zp = 0;
        noise = stalls * 32'd2654435769 + 32'd1;
        repeat (3) @(negedge clk);
        rst = 0;
        for (at = 0; at < cases; at = at + 1) begin
            $sformat(here, "%0s/%04d", dir, at);
            $readmemh({here, "/x.hex"}, x, 0, (n + DEPTH - 1) / DEPTH * DEPTH * ((k + ROWS - 1) / ROWS) - 1);
            $readmemh({here, "/w.hex"}, w, 0, (m + COLS - 1) / COLS * ((k + ROWS - 1) / ROWS) * ROWS - 1);
            $readmemh({here, "/bias.hex"}, bias, 0, m - 1);
            $readmemh({here, "/mult.hex"}, mult, 0, m - 1);
            $readmemh({here, "/shift.hex"}, shift, 0, m - 1);
            $readmemh({here, "/y.hex"}, y, 0, n * ((m + COLS - 1) / COLS) - 1);
            sent = 0;
            start = 1;
            @(negedge clk) start = 0;
            fork
                begin
                    send_channels;
                    send_tiles;
                    sent = 1;
                end
                take;
            join
            $writememh({here, "/y.hex"}, y, 0, n * ((m + COLS - 1) / COLS) - 1);
        end
        $finish;
    end

    initial begin
        repeat (LIMIT) @(negedge clk);
        $display("bench: the array is not done after %0d cycles", LIMIT);
        $fatal;
    end
endmodule
