// What scrolls sideways can be reached by keyboard; headings and landmarks of the theme get the level and name they lack.
addEventListener("load", () => {
  for (const each of document.querySelectorAll("pre, .table-wrapper")) {
    if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
  }
  for (const each of document.querySelectorAll(".caption[role=heading]")) each.ariaLevel = "2";
  document.querySelector(".sidebar-drawer").ariaLabel = "All pages";
  document.querySelector(".toc-drawer").ariaLabel = "This page";
});
