// a right module: two lanes of a clip, three codes a case; the lane that holds none is never driven
module dut (
    input  wire clk,
    input  wire rst,
    input  wire x_valid,
    output wire x_ready,
    input  wire [15:0] x_data,
    output wire y_valid,
    input  wire y_ready,
    output wire [15:0] y_data
);
    reg odd;
    function [7:0] cut(input [7:0] q);
        cut = $signed(q) < -8'sd100 ? 8'h9c : $signed(q) > 8'sd90 ? 8'd90 : q;
    endfunction
    assign x_ready = y_ready;
    assign y_valid = x_valid;
    assign y_data = {odd ? 8'bxxxxxxxx : cut(x_data[15:8]), cut(x_data[7:0])};
    always @(posedge clk) begin
        if (rst) odd <= 1'b0;
        else if (x_valid && x_ready) odd <= !odd;
    end
endmodule
